-- Nothing but what a full server allows. What is left keeps its time to live.
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
local reply = {}
for i = 1, #ARGV - 1 do
  reply[i] = redis.call('ZREM', KEYS[1], arg(i))
end
return reply
