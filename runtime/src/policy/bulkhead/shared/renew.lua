local lease = int(1)
local holders = KEYS[1]

-- The first write is one that a full server allows, and the others take no memory: it lets them through.
redis.call('ZREMRANGEBYSCORE', holders, '-inf', now)
local last = redis.call('ZREVRANGE', holders, 0, 0, 'WITHSCORES')
local function most(holder)
  return now + (tonumber(string.match(holder, '^%d+')) or lease)
end
if last[1] and tonumber(last[2]) > most(last[1]) then
  local all = redis.call('ZRANGE', holders, 0, -1, 'WITHSCORES')
  for i = 1, #all, 2 do
    if tonumber(all[i + 1]) > most(all[i]) then
      redis.call('ZADD', holders, most(all[i]), all[i])
    end
  end
end

local reply = {redis.call('ZCARD', holders)}
for i = 2, #ARGV - 1 do
  reply[i] = 0
  if redis.call('ZSCORE', holders, arg(i)) then
    redis.call('ZADD', holders, now + lease, arg(i))
    reply[i] = 1
  end
end
last = redis.call('ZREVRANGE', holders, 0, 0, 'WITHSCORES')
if last[1] then
  redis.call('PEXPIRE', holders, math.ceil((tonumber(last[2]) - now) / 1000))
end
return reply
