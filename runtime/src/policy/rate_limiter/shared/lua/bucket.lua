local permit, pace, burst = int(3), int(4), int(5)
local full, round = permit * burst, 4503599627370496
local line = now % math.floor(round / pace) * pace
local debt, total, changed = 0, line, false
local held = redis.call('GET', KEYS[1])
if held then
  local at, owed, sum, unit, flow = string.match(held, '^(%d+) (%d+) (%d+) (%d+) (%d+)$')
  if not at then return foreign() end
  at, owed, sum, unit, flow = tonumber(at), tonumber(owed), tonumber(sum), tonumber(unit), tonumber(flow)
  local passed = math.min(math.max(now - at, 0), math.ceil(owed / flow))
  debt = math.max(owed - passed * flow, 0)
  if unit ~= permit then
    debt = math.min(math.floor(debt / unit), burst) * permit + math.ceil(debt % unit / unit * permit)
  end
  debt, total, changed = math.min(debt, full), sum, at > now
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
      retry = math.ceil((debt + units - full) / pace)
    end
  end
  return retry, math.floor((full - debt) / permit), math.ceil(debt / pace)
end
local reply = batch(6, burst, take)
reply[2] = total
if changed then
  local state = string.format('%.0f %.0f %.0f %.0f %.0f', now, debt, total, permit, pace)
  local beyond = (total - line) % round
  if beyond >= round / 2 then beyond = 0 end
  local owed = math.max(debt, math.min(beyond, 2 * full))
  redis.call('SET', KEYS[1], state, 'PX', lasting(math.ceil(owed / pace)))
end
return reply
