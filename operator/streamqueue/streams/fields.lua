-- Put in front of the scripts that read names and values in turn, as Redis has entries and rows of XINFO, by name.
local function fields(flat)
  local map = {}
  for i = 1, #flat, 2 do map[flat[i]] = flat[i + 1] end
  return map
end
