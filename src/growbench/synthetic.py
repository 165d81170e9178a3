VERSION = 0
def documents(seed): yield "a"
def floors(seed, mask_rate): return {"mlm": 0.0, "clm": 0.0}
