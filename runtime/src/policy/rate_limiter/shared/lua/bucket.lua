local floor, ceil, ARGV = math.floor, math.ceil, ARGV
local permit, pace, burst = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local full, round = permit * burst, 4503599627370496
local line = now % floor(round / pace) * pace
local debt, total, changed = 0, line, false
local held = redis.call('GET', KEYS[1])
if held then
  if #held ~= 40 then return foreign() end
  local at, owed, sum, unit, flow = struct.unpack('>ddddd', held)
  if now > at then
    debt = math.max(owed - math.min(now - at, ceil(owed / flow)) * flow, 0)
  else
    debt = owed
  end
  total, changed = sum, at > now or unit ~= permit or flow ~= pace
  if unit ~= permit then
    local most = round / 2 - 1
    debt = math.min(floor(debt / unit), floor(most / permit)) * permit + ceil(debt % unit / unit * permit)
    debt = math.min(debt, most)
    total = (sum + debt) % round
  end
end
local function take(cost)
  local retry = 0
  if cost > burst then
    retry = -1
  elseif cost > 0 then
    local units = cost * permit
    if debt + units <= full then
      debt, total, changed = debt + units, (total + units) % round, true
    else
      retry = ceil((debt + units - full) / pace)
    end
  end
  return retry, floor(math.max(full - debt, 0) / permit), ceil(debt / pace)
end
local reply = batch(6, burst, take)
reply[2] = total
if changed then
  local state = struct.pack('>ddddd', now, debt, total, permit, pace)
  local beyond = (total - line) % round
  if beyond >= round / 2 then beyond = 0 end
  local owed = math.max(debt, math.min(beyond, 2 * full))
  redis.call('SET', KEYS[1], state, 'PX', lasting(ceil(owed / pace)))
end
return reply
