local flow, count, scale = int(4), int(5), int(6)
local permit = int(3) * scale
local lowest, interval, threshold, backoff, recovery = int(7), int(8), int(9), int(10), int(11)
local ended_well, ended_badly = int(12), int(13)
local whole = 1000000
local at, debt, level, stepped, well, badly, share = now, 0, whole, now, 0, 0, -1
local changed = ended_well + ended_badly > 0
local function recovered(from) return math.ceil(from * recovery / whole) end
local function paced(from) return flow * math.max(math.floor(from * scale / whole), 1) end
local function drain(till)
  local pace = paced(level)
  local passed = math.min(math.max(till - at, 0), math.ceil(debt / pace))
  debt, at = math.max(debt - passed * pace, 0), math.max(at, till)
end
local held = redis.call('GET', KEYS[1])
if held then
  if #held ~= 64 then return foreign() end
  local unit
  at, debt, level, stepped, well, badly, share, unit = struct.unpack('>dddddddd', held)
  local most = 2251799813685247
  if unit ~= permit then
    local fits = math.floor(most / permit)
    debt = math.min(math.floor(debt / unit), fits) * permit + math.ceil(debt % unit / unit * permit)
  end
  debt, level = math.min(debt, most), math.min(math.max(level, lowest), whole)
  if at > now then at, stepped, changed = now, now, true end
  local steps = math.floor((now - stepped) / interval)
  if steps > 0 then
    drain(stepped + interval)
    stepped = stepped + steps * interval
    local all = well + badly
    if all > 0 then
      share = math.floor(well * whole / all)
      if well * whole < threshold * all then
        level = math.floor(level * backoff / whole)
      else
        level = recovered(level)
      end
      level, well, badly = math.min(math.max(level, lowest), whole), 0, 0
    end
  end
  drain(now)
end
well, badly = math.min(well + ended_well, 1000000000), math.min(badly + ended_badly, 1000000000)
local limit = math.min(math.max(math.floor((count * level + whole / 2) / whole), 1), count)
local full, pace = limit * permit, paced(level)
local function take(cost)
  local retry = 0
  if cost > count then
    retry = -1
  elseif cost > 0 then
    local units = cost * permit
    local room = math.max(full, units)
    if debt + units <= room then
      debt, changed = debt + units, true
    else
      retry = math.ceil((debt + units - room) / pace)
    end
  end
  return retry, math.floor(math.max(full - debt, 0) / permit), math.ceil(debt / pace)
end
local reply = batch(14, limit, take)
local all = well + badly
reply[4] = all > 0 and math.floor(well * whole / all) or share
if changed then
  local state = struct.pack('>dddddddd', at, debt, level, stepped, well, badly, share, permit)
  local learned, steps = level, 2
  while learned < whole and steps < 1000 do learned, steps = recovered(learned), steps + 1 end
  redis.call('SET', KEYS[1], state, 'PX', lasting(math.ceil(debt / pace) + steps * interval))
end
return reply
