"""A CLIP tokenizer whose few words come from the captions it will read."""

from collections.abc import Iterable

from tokenizers import Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.trainers import BpeTrainer
from transformers import CLIPTokenizer

START, END = "<|startoftext|>", "<|endoftext|>"


def train_tokenizer(captions: Iterable[str], vocab_size: int, length: int) -> CLIPTokenizer:
    """Byte-pair merges of `captions`; every byte stays sayable, so no text is refused."""
    blank = CLIPTokenizer()
    tokenizer = Tokenizer(BPE(end_of_word_suffix="</w>"))
    tokenizer.normalizer = blank.backend_tokenizer.normalizer
    tokenizer.pre_tokenizer = blank.backend_tokenizer.pre_tokenizer
    alphabet = sorted(ByteLevel.alphabet())
    trainer = BpeTrainer(
        vocab_size=vocab_size, initial_alphabet=alphabet, end_of_word_suffix="</w>", show_progress=False
    )
    tokenizer.train_from_iterator(captions, trainer)
    learned = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    tokens = alphabet + [letter + "</w>" for letter in alphabet]
    tokens += [token for token, _ in learned if token not in set(tokens)] + [START, END]
    vocab = {token: index for index, token in enumerate(tokens)}
    merges = read_merges(tokenizer)
    return CLIPTokenizer(vocab=vocab, merges=merges, model_max_length=length)


def read_merges(tokenizer: Tokenizer) -> list[tuple[str, str]]:
    """The merges in the order in which they apply."""
    import json

    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    pairs = [pair.split(" ") if isinstance(pair, str) else pair for pair in merges]
    return [(first, second) for first, second in pairs]
