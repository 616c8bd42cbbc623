-- As light.lua, with shorter pauses.
function delay()
   return math.random(4, 8)
end
