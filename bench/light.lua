-- A pause before each request: the load stays the same, however fast the replies come.
-- Random, so that connections do not fall into step.
function delay()
   return math.random(20, 30)
end
