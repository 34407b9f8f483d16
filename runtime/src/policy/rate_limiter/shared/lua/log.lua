-- A list: for each entry its time and what was taken before it, and last the total.
local per, count, round = int(3), int(4), 1099511627776
local n = math.max(0, math.floor((redis.call('LLEN', KEYS[1]) - 1) / 2))
local function at(index) return tonumber(redis.call('LINDEX', KEYS[1], index)) end
local total, newest, oldest, base = 0, 0, 0, 0
if n > 0 then
  local last, front = redis.call('LRANGE', KEYS[1], -3, -1), redis.call('LRANGE', KEYS[1], 0, 1)
  newest, total = tonumber(last[1]), tonumber(last[3])
  oldest, base = tonumber(front[1]), tonumber(front[2])
end
local function time(i) return at(2 * i) end
local function before(i) if i >= n then return total end return at(2 * i + 1) end
-- The first entry from `low` on that is as asked.
local function first(low, is)
  local high = n
  while low < high do
    local middle = math.floor((low + high) / 2)
    if is(middle) then high = middle else low = middle + 1 end
  end
  return low
end
local head, ahead = 0, n
if n > 0 then
  if newest > now then ahead = first(0, function(i) return time(i) > now end) end
  if oldest <= now - per then
    head = first(1, function(i) return time(i) > now - per end)
    base = before(head)
  end
end
local used, added = (total - base) % round, 0
local function take(cost)
  local retry = 0
  if cost > count then
    retry = -1
  elseif cost > 0 then
    local needed = used + added + cost - count
    if needed <= 0 then
      added = added + cost
    elseif needed > used then
      retry = per
    else
      local free = first(head, function(i) return (before(i + 1) - base) % round >= needed end)
      retry = math.min(time(free), now) + per - now
    end
  end
  local reset = 0
  if added > 0 then reset = per elseif head < n then reset = math.min(newest, now) + per - now end
  return retry, math.max(count - used - added, 0), reset
end
local reply = batch(5, count, take)
local sum = (total + added) % round
if ahead < n then
  -- What is from a time to come counts as taken now.
  local cut = before(ahead)
  if ahead > head then
    redis.call('LTRIM', KEYS[1], 2 * head, 2 * ahead - 1)
  else
    redis.call('DEL', KEYS[1])
  end
  redis.call('RPUSH', KEYS[1], now, cut, sum)
  redis.call('PEXPIRE', KEYS[1], lasting(per))
elseif added > 0 then
  if head == n then
    redis.call('DEL', KEYS[1])
    redis.call('RPUSH', KEYS[1], now, total, sum)
  else
    if head > 0 then redis.call('LTRIM', KEYS[1], 2 * head, -1) end
    -- In place of the total.
    redis.call('LSET', KEYS[1], -1, newest == now and sum or now)
    if newest ~= now then redis.call('RPUSH', KEYS[1], total, sum) end
  end
  redis.call('PEXPIRE', KEYS[1], lasting(per))
end
return reply
