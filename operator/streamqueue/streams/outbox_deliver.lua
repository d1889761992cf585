-- Rows of an outbox become entries of their stream, once each: the mark makes a second call harmless.
-- KEYS: target stream, sorted set of marks (by when their rows were read, ms).
-- ARGV: when the rows were read (ms), then per row, the oldest that is left first: mark, number of values, values.
-- Reply: how many were new. A key of another type refuses the first question or the first entry: nothing is written then.
local target, seen, read = KEYS[1], KEYS[2], tonumber(ARGV[1])
local SLACK = 600000 -- ms: a relay that stood still for less doubles nothing
if redis.replicate_commands then redis.replicate_commands() end

-- Marks outlive their rows: they expire only after a call that finds the outbox empty. This comes after an entry: a server
-- out of memory refuses the first write of a script alone, and would take entries without end.
local function keep_marks() redis.call('PERSIST', seen) end

local new, at = 0, 2
while at <= #ARGV do
  local mark, count = ARGV[at], tonumber(ARGV[at + 1])
  if not redis.call('ZSCORE', seen, mark) then
    local values = {}
    for i = at + 2, at + 1 + count do values[#values + 1] = ARGV[i] end
    redis.call('XADD', target, '*', unpack(values))
    if new == 0 then keep_marks() end
    redis.call('ZADD', seen, read, mark)
    new = new + 1
  end
  at = at + 2 + count
end
if new == 0 then keep_marks() end
-- Not by the rows' own times: of a backlog, hours go within seconds. What came before the oldest row that is left has left.
local oldest = tonumber(redis.call('ZSCORE', seen, ARGV[2]))
redis.call('ZREMRANGEBYSCORE', seen, '-inf', string.format('(%d', math.min(oldest, read - SLACK)))
return new
