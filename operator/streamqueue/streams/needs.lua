-- Put in front of the scripts that ask what the groups of a stream were handed, and still need; `fields` goes before it.
-- Ids are two 64-bit numbers; Lua's doubles would round them.
local function before(a, b)
  if #a == #b and string.find(a, '-', 1, true) == string.find(b, '-', 1, true) then return a < b end
  local a_ms, a_seq = string.match(a, '^(%d+)-(%d+)$')
  local b_ms, b_seq = string.match(b, '^(%d+)-(%d+)$')
  if a_ms ~= b_ms then
    if #a_ms ~= #b_ms then return #a_ms < #b_ms end
    return a_ms < b_ms
  end
  if #a_seq ~= #b_seq then return #a_seq < #b_seq end
  return a_seq < b_seq
end

-- The id up to which a group, a row of XINFO GROUPS, is done with the stream.
local function floor_of(stream, row)
  local delivered = row['last-delivered-id']
  if row.pending == 0 then return delivered end
  local oldest = redis.call('XPENDING', stream, row.name, '-', '+', 1)[1]
  if oldest and before(oldest[1], delivered) then return oldest[1] end
  return delivered
end

