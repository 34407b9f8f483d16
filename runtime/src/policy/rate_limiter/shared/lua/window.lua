local per, count = int(3), int(4)
local ends = (math.floor(now / per) + 1) * per
local used, changed = 0, false
local held = redis.call('GET', KEYS[1])
if held then
  if #held ~= 16 then return foreign() end
  local e, u = struct.unpack('>dd', held)
  if e > now then used, changed = u, e > ends end
end
local rest = ends - now
local function take(cost)
  local retry = 0
  if cost > count then
    retry = -1
  elseif cost > 0 then
    if used + cost <= count then
      used, changed = used + cost, true
    else
      retry = rest
    end
  end
  return retry, math.max(count - used, 0), used > 0 and rest or 0
end
local reply = batch(5, count, take)
if changed then
  redis.call('SET', KEYS[1], struct.pack('>dd', ends, used), 'PX', lasting(rest))
end
return reply
