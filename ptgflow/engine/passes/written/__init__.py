"""The Llama, Mistral, Qwen and Gemma families written out over merged, packed weights."""
