local limit, lease = int(1), int(2)
local holders, fences = KEYS[1], KEYS[2]

local token = tonumber(redis.call('GET', fences) or '0')
if not token then
  return redis.error_reply('WRONGTYPE the fence is no number')
end
local taken = redis.call('ZCARD', holders) - redis.call('ZCOUNT', holders, '-inf', now)
local reply, granted = {0, 0}, {}
for i = 3, #ARGV - 1 do
  local ends = redis.call('ZSCORE', holders, arg(i))
  local held = ends and tonumber(ends) > now
  reply[i] = 0
  if held or taken < limit then
    if not held then taken = taken + 1 end
    token = math.max(token + 1, now)
    reply[i] = token
    granted[#granted + 1] = arg(i)
  end
end

-- The first write is one that a full server refuses: then nothing has changed.
if #granted > 0 then
  local kept = math.max(token - now, 0) + 10800000000
  redis.call('SET', fences, string.format('%.0f', token), 'PX', math.ceil(kept / 1000))
end
begin(holders, lease)
for _, holder in ipairs(granted) do
  redis.call('ZADD', holders, now + lease, holder)
end

local first = redis.call('ZRANGE', holders, 0, 0, 'WITHSCORES')
if first[1] then
  keep(holders)
  reply[1] = taken
  reply[2] = tonumber(first[2]) - now
end
return reply
