-- Put in front of the scripts that copy entries into a stream.
-- Whether groups beside `group` would get what is added to `stream`; '' where it is another stream than the group's.
local function reaches_others(stream, group)
  if group == '' then return false end
  local groups, mine = redis.call('XINFO', 'GROUPS', stream), false
  for _, flat in ipairs(groups) do
    for i = 1, #flat, 2 do mine = mine or (flat[i] == 'name' and flat[i + 1] == group) end
  end
  if not mine then error('NOGROUP no such group') end
  return #groups > 1
end

