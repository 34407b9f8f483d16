-- A list: for each entry its time and what was taken before it, and last the total.
local per, count, round = int(3), int(4), 1099511627776
local n = math.max(0, math.floor((redis.call('LLEN', KEYS[1]) - 1) / 2))
local function at(index) return tonumber(redis.call('LINDEX', KEYS[1], index)) end
local total = n > 0 and at(-1) or 0
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
local head, ahead, newest, base = 0, n, nil, total
if n > 0 then
  newest = time(n - 1)
  if newest > now then ahead = first(0, function(i) return time(i) > now end) end
  if time(0) <= now - per then head = first(1, function(i) return time(i) > now - per end) end
  base = before(head)
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
if added > 0 or ahead < n then
  local cut = before(ahead)
  local kept = ahead > head and time(ahead - 1) or nil
  if kept then
    redis.call('LTRIM', KEYS[1], 2 * head, 2 * ahead - 1)
  else
    redis.call('DEL', KEYS[1])
  end
  local sum = number((total + added) % round)
  if ahead < n or kept ~= now then
    redis.call('RPUSH', KEYS[1], number(now), number(cut), sum)
  else
    redis.call('RPUSH', KEYS[1], sum)
  end
  redis.call('PEXPIRE', KEYS[1], lasting(per))
end
return reply
