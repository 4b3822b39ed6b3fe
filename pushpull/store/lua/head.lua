-- The state of one conversation at one instant. (Uses state.)
-- KEYS   1 meta  2 members
-- Returns its state (state_of), or nil: no such conversation
local META, MEMBERS = KEYS[1], KEYS[2]

local fields, settings = fields_of(META)
return fields and state_of(fields, settings, MEMBERS)
