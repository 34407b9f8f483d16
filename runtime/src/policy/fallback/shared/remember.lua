local field, json, stale, most = arg(1), arg(2), int(3), int(4)
local answers, ages = KEYS[1], KEYS[2]
local ahead, bound = 1000000, 16

local function drop(fields)
  if #fields > 0 then
    redis.call('HDEL', answers, unpack(fields))
    redis.call('ZREM', ages, unpack(fields))
  end
end

-- One of the two was evicted without the other: what is left of it would never go.
if redis.call('HLEN', answers) ~= redis.call('ZCARD', ages) then
  redis.call('UNLINK', answers, ages)
end

-- Written before the clock was set back: how old they are is not known.
drop(redis.call('ZRANGEBYSCORE', ages, now + ahead + 1, '+inf', 'LIMIT', 0, bound))

local over = redis.call('ZCARD', ages) - most
if not redis.call('ZSCORE', ages, field) then over = over + 1 end
local gone = {}
local oldest = redis.call('ZRANGE', ages, 0, bound, 'WITHSCORES')
for i = 1, #oldest, 2 do
  local is_gone = #gone < over or tonumber(oldest[i + 1]) < now - stale
  if is_gone and oldest[i] ~= field and #gone < bound then
    gone[#gone + 1] = oldest[i]
  end
end
drop(gone)

redis.call('HSET', answers, field, json)
redis.call('ZADD', ages, now, field)
-- A millisecond more than an answer may be old: it does not go while it can be served.
local ttl = math.floor(stale / 1000) + 1
redis.call('PEXPIRE', answers, ttl)
redis.call('PEXPIRE', ages, ttl)
return {redis.call('ZCARD', ages)}
