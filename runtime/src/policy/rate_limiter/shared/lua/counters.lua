local per, count, tick = int(3), int(4), int(5)
local ticks, start = math.ceil(per / tick), math.floor(now / per) * per
local used, last, changed = 0, 0, false
local held = redis.call('GET', KEYS[1])
if held then
  if #held ~= 32 then return foreign() end
  local s, u, l, p = struct.unpack('>dddd', held)
  local began = math.floor(now / p) * p
  if s > now or s == began then
    used, last = u, l
  elseif s == began - p then
    last = u
  end
  changed = s > now or (p ~= per and used + last > 0)
end
local most = math.floor(2814749767106560 / ticks)
used, last = math.min(used, most), math.min(last, most)
local weight = last * (ticks - math.floor((now - start) / tick))
local function passed_until(before, room)
  if before == 0 then return 0 end
  return math.min(math.max(ticks - math.floor(room * ticks / before), 0) * tick, per)
end
local function wait(cost)
  local room = count - used - cost
  if room >= 0 then
    local passed = passed_until(last, room)
    if passed < per then return start + passed - now end
  end
  return start + per + passed_until(used, count - cost) - now
end
local function take(cost)
  local retry = 0
  if cost > count then
    retry = -1
  elseif cost > 0 then
    if weight + (used + cost) * ticks <= count * ticks then
      used, changed = used + cost, true
    else
      retry = wait(cost)
    end
  end
  local reset = 0
  if used > 0 then reset = start + 2 * per - now elseif last > 0 then reset = start + per - now end
  return retry, math.max(count - used - math.ceil(weight / ticks), 0), reset
end
local reply = batch(6, count, take)
if changed then
  local state = struct.pack('>dddd', start, used, last, per)
  redis.call('SET', KEYS[1], state, 'PX', lasting(start + 2 * per - now))
end
return reply
