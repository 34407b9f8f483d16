-- The calls of a batch, one after another, from the given argument on. Argument 1: whether each cost is
-- followed by how long its caller may wait; 2: how many permits to take on top, as far as they are there.
-- What is left undecided after a caller who waits is behind it in the line. Returns how the limit
-- stands, then for each call how long to wait (0: taken, -1: no wait helps), what remains, and how long
-- until the limit is as if unused.
local function batch(first, limit, take)
  local waits, extra = int(1), int(2)
  local i, last, n = first, #ARGV - 1, 4
  if i == last and extra == 0 then
    -- One call alone, as most are: without a table that grows.
    local retry, remaining, reset = take(int(i))
    return {0, 0, limit, -1, retry, remaining, reset}
  end
  local reply = {0, 0, limit, -1}
  while i <= last do
    local retry, remaining, reset = take(int(i))
    reply[n + 1], reply[n + 2], reply[n + 3] = retry, remaining, reset
    n = n + 3
    if waits == 1 then
      if retry > 0 and retry <= int(i + 1) then extra = 0 break end
      i = i + 1
    end
    i = i + 1
  end
  if extra > 0 then
    local _, remaining = take(0)
    local granted = math.min(extra, remaining)
    take(granted)
    reply[1] = granted
  end
  return reply
end
local function lasting(micros) return math.max(1, math.ceil(micros / 1000)) end
local function foreign() return redis.error_reply('WRONGTYPE a record of another kind') end
