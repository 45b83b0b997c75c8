#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Trains the byte-level BPE tokenizer and encodes a corpus with it.

Reads CORPUS/*.txt (documents separated by NUL) and writes TOKENS/tokenizer.json (Hugging Face form, Qwen2
pre-tokenizer) and one file of little-endian uint16 ids a text, TOKENS/NAME.bin, in which every document begins with the
end-of-text token. With --tokenizer an existing tokenizer is used instead of training one: corpora differ from machine
to machine, and a model must be continued with the tokenizer that it was begun with.

Needs python3-numpy and python3-regex.
"""

import argparse
import heapq
import json
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import regex

from shape import END_OF_TEXT, VOCABULARY

# Qwen2's pre-tokenizer: contractions, words with at most one leading mark, single digits, runs of marks, white space.
WORD_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
WORDS = regex.compile(WORD_PATTERN)
TRAINING_CHARACTERS_PER_DOMAIN = 3_000_000
DOCUMENT_SEPARATOR = "\x00"

Pair = tuple[int, int]


def byte_alphabet() -> list[str]:
    """GPT-2's printable stand-in for each byte: itself where it prints, else a character from U+0100 on."""
    printable = {*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    stand_ins = iter(range(0x100, 0x200))
    return [chr(byte) if byte in printable else chr(next(stand_ins)) for byte in range(256)]


ALPHABET = byte_alphabet()
BYTE_OF = {character: byte for byte, character in enumerate(ALPHABET)}


def spell(token: bytes) -> str:
    """A token as tokenizer.json spells it."""
    return "".join(ALPHABET[byte] for byte in token)


def unspell(text: str) -> bytes:
    return bytes(BYTE_OF[character] for character in text)


class Bpe:
    """Byte pair encoding: ids 0–255 are bytes, id 256 + r is what the merge of rank r makes."""

    def __init__(self, merges: list[Pair]):
        self.merges = merges
        self.tokens = [bytes([byte]) for byte in range(256)]
        for left, right in merges:
            self.tokens.append(self.tokens[left] + self.tokens[right])
        self._rank = {pair: rank for rank, pair in enumerate(merges)}
        self._known_words: dict[str, list[int]] = {}

    @property
    def end_of_text(self) -> int:
        return len(self.tokens)

    @classmethod
    def load(cls, path: Path) -> "Bpe":
        """Reads the merges of a tokenizer.json that this script wrote."""
        model = json.loads(path.read_text(encoding="utf-8"))["model"]
        id_of = {unspell(text): token_id for text, token_id in model["vocab"].items()}
        merges = [tuple(id_of[unspell(part)] for part in merge.split(" ")) for merge in model["merges"]]
        bpe = cls(merges)
        if any(id_of[token] != index for index, token in enumerate(bpe.tokens)):
            raise SystemExit(f"{path}: its ids do not follow the order of its merges; give a tokenizer made by bpe.py.")
        return bpe

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(self._huggingface_form(), ensure_ascii=False), encoding="utf-8")

    def encode(self, text: str) -> list[int]:
        return [token_id for word in WORDS.findall(text) for token_id in self._encode_word(word)]

    def encode_documents(self, text: str) -> list[int]:
        ids: list[int] = []
        for document in text.split(DOCUMENT_SEPARATOR):
            ids.append(self.end_of_text)
            ids.extend(self.encode(document))
        return ids

    def _encode_word(self, word: str) -> list[int]:
        """Applies the lowest-ranked merge, leftmost first, until none applies. Quadratic in the word, so cached."""
        known = self._known_words.get(word)
        if known is not None:
            return known
        ids = list(word.encode("utf-8"))
        while len(ids) > 1:
            candidates = ((self._rank[pair], at) for at, pair in enumerate(zip(ids, ids[1:])) if pair in self._rank)
            rank, at = min(candidates, default=(None, 0))
            if rank is None:
                break
            ids[at : at + 2] = [256 + rank]
        self._known_words[word] = ids
        return ids

    def _huggingface_form(self) -> dict:
        byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}
        split = {"type": "Split", "pattern": {"Regex": WORD_PATTERN}, "behavior": "Isolated", "invert": False}
        special = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
        return {
            "version": "1.0",
            "truncation": None,
            "padding": None,
            "added_tokens": [{"id": self.end_of_text, "content": END_OF_TEXT, **special}],
            "normalizer": {"type": "NFC"},
            "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, byte_level]},
            "post_processor": byte_level,
            "decoder": byte_level,
            "model": {
                "type": "BPE",
                "dropout": None,
                "unk_token": None,
                "continuing_subword_prefix": "",
                "end_of_word_suffix": "",
                "fuse_unk": False,
                "byte_fallback": False,
                "ignore_merges": False,
                "vocab": {spell(token): token_id for token_id, token in enumerate(self.tokens)},
                "merges": [f"{spell(self.tokens[left])} {spell(self.tokens[right])}" for left, right in self.merges],
            },
        }


class MergeLearner:
    """Finds the merges of a word list: the most frequent adjacent pair becomes a token, again and again.

    Plain equivalent: recount every pair of every word after each merge. Here the counts are kept up to date only for
    the words that hold the merged pair, and a heap with lazily corrected entries finds the next pair, so a merge costs
    what its words cost.
    """

    def __init__(self, word_counts: Counter[str]):
        # A word that occurs once says nothing about what is frequent.
        repeated = [(word, count) for word, count in word_counts.items() if count > 1]
        self._words = [list(word.encode("utf-8")) for word, _ in repeated]
        self._weights = [count for _, count in repeated]
        self._pair_counts: Counter[Pair] = Counter()
        self._words_with: dict[Pair, set[int]] = defaultdict(set)
        for index in range(len(self._words)):
            self._count_word(index, +1)
        self._heap = [(-count, pair) for pair, count in self._pair_counts.items()]
        heapq.heapify(self._heap)

    def learn(self, number: int) -> list[Pair]:
        merges: list[Pair] = []
        while len(merges) < number:
            pair = self._most_frequent_pair()
            self._merge(pair, 256 + len(merges))
            merges.append(pair)
        return merges

    def _count_word(self, index: int, sign: int) -> set[Pair]:
        pairs = list(zip(self._words[index], self._words[index][1:]))
        for pair in pairs:
            self._pair_counts[pair] += sign * self._weights[index]
            if sign > 0:
                self._words_with[pair].add(index)
        return set(pairs)

    def _most_frequent_pair(self) -> Pair:
        while self._heap:
            negative_count, pair = heapq.heappop(self._heap)
            current = self._pair_counts[pair]
            if current == -negative_count:
                return pair
            if current > 0:
                heapq.heappush(self._heap, (-current, pair))
        raise SystemExit("The corpus has too few different words for this vocabulary; collect more text.")

    def _merge(self, pair: Pair, new_id: int) -> None:
        changed: set[Pair] = set()
        for index in list(self._words_with[pair]):
            changed |= self._count_word(index, -1)
            self._words[index] = self._merged(self._words[index], pair, new_id)
            changed |= self._count_word(index, +1)
        for touched in changed:
            if self._pair_counts[touched] > 0:
                heapq.heappush(self._heap, (-self._pair_counts[touched], touched))

    @staticmethod
    def _merged(word: list[int], pair: Pair, new_id: int) -> list[int]:
        merged: list[int] = []
        at = 0
        while at < len(word):
            if tuple(word[at : at + 2]) == pair:
                merged.append(new_id)
                at += 2
            else:
                merged.append(word[at])
                at += 1
        return merged


def train(corpus: Path) -> Bpe:
    word_counts: Counter[str] = Counter()
    for path in sorted(corpus.glob("*.train.txt")):
        text = path.read_text(encoding="utf-8")[:TRAINING_CHARACTERS_PER_DOMAIN]
        word_counts.update(WORDS.findall(text.replace(DOCUMENT_SEPARATOR, "\n")))
    if not word_counts:
        raise SystemExit(f"{corpus} holds no *.train.txt; run corpus.py first.")
    print(f"{len(word_counts)} different words", flush=True)
    merges = MergeLearner(word_counts).learn(VOCABULARY - 256 - 1)  # 256 bytes, and end of text
    return Bpe(merges)


def encode_corpus(bpe: Bpe, corpus: Path, out: Path) -> None:
    for path in sorted(corpus.glob("*.txt")):
        ids = np.array(bpe.encode_documents(path.read_text(encoding="utf-8")), dtype="<u2")
        ids.tofile(out / f"{path.stem}.bin")
        print(f"{path.name:24s} {len(ids) / 1e6:7.3f} M tokens  {path.stat().st_size / len(ids):.2f} bytes a token")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path, help="folder that corpus.py wrote")
    parser.add_argument("tokens", type=Path, help="folder to write to")
    parser.add_argument("--tokenizer", type=Path, help="use this tokenizer.json instead of training one")
    arguments = parser.parse_args()

    arguments.tokens.mkdir(parents=True, exist_ok=True)
    bpe = Bpe.load(arguments.tokenizer) if arguments.tokenizer else train(arguments.corpus)
    bpe.save(arguments.tokens / "tokenizer.json")
    encode_corpus(bpe, arguments.corpus, arguments.tokens)


if __name__ == "__main__":
    main()
