"""Writes goldens.safetensors: what torch computes of a few sentences in float32, eager attention, one sentence a call.

    pip install torch==2.15.0 transformers==5.23.0 tokenizers==0.23.3 safetensors==0.8.0 numpy==2.4.6
    python make_goldens.py FOLDER_OF_THE_MODEL

| tensor | dtype | shape | what |
|---|---|---|---|
| `sentences` | U8 | [bytes] | the sentences, UTF-8, separated by line feeds |
| `ids` | I32 | [tokens] | their tokens |
| `sentence_id` | I32 | [tokens] | the sentence of each token |
| `embeddings` | F32 | [sentences, 384] | mean over the tokens, length 1 |
| `L3_KIND` | F32 | [tokens of the first sentence, K] | inputs of layer 3's linears |
"""

import pathlib
import sys

import torch
from safetensors.torch import save_file
from transformers import AutoTokenizer, BertModel

SENTENCES = [
    "A scale can only live on the outer dimensions of a product.",
    "The cat sat on the mat.",
    "Whether it rains tomorrow, nobody in the harbour could say; the barometer had been falling since noon.",
    "Naïve café owners in Zürich paid €3.50 for 日本 tea — twice!",
    "x = fma(s_x, s_w * acc, bias)",
    "Antidisestablishmentarianism and pneumonoultramicroscopicsilicovolcanoconiosis are long words.",
    "Yes",
    # Longer than the 256 tokens that the model takes.
    "Tokens beyond the limit are cut away. " * 40,
]
MAX_TOKENS = 256
LAYER = 3


def main():
    folder = pathlib.Path(sys.argv[1])
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = BertModel.from_pretrained(folder, attn_implementation="eager", dtype=torch.float32).eval()
    layer = model.encoder.layer[LAYER]
    linears = {
        "qkv": layer.attention.self.query,
        "attention_output": layer.attention.output.dense,
        "intermediate": layer.intermediate.dense,
        "output_dense": layer.output.dense,
    }
    seen = {}

    def keep(name):
        def hook(_, x):
            # The first sentence's; what a hook returns would take the place of the input.
            seen.setdefault(f"L{LAYER}_{name}", x[0][0].clone())

        return hook

    for name, linear in linears.items():
        linear.register_forward_pre_hook(keep(name))
    ids, owners, embeddings = [], [], []
    with torch.no_grad():
        for index, sentence in enumerate(SENTENCES):
            tokens = tokenizer(sentence, truncation=True, max_length=MAX_TOKENS, return_tensors="pt")
            hidden = model(**tokens).last_hidden_state[0]
            embeddings.append(torch.nn.functional.normalize(hidden.mean(0), dim=0))
            ids += tokens["input_ids"][0].tolist()
            owners += [index] * len(tokens["input_ids"][0])
    text = "\n".join(SENTENCES).encode()
    tensors = {
        "sentences": torch.frombuffer(bytearray(text), dtype=torch.uint8),
        "ids": torch.tensor(ids, dtype=torch.int32),
        "sentence_id": torch.tensor(owners, dtype=torch.int32),
        "embeddings": torch.stack(embeddings),
        **{name: x.contiguous() for name, x in seen.items()},
    }
    save_file(tensors, pathlib.Path(__file__).parent / "goldens.safetensors")


main()
