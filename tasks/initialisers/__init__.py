"""Ways to make a model out of another one: each takes a source and writes a folder of safetensors weights and tokenizer."""
