# SPDX-License-Identifier: GPL-3.0-or-later
"""The scripts that make the demo model, as far as they need no training: tokenizer, reference forward pass, file forms."""

import json
import sys
import tempfile
import unittest
from collections import Counter
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
MODEL = TOP / "resources" / "demo_model"
VALIDATION = TOP / "tests" / "data" / "val"
sys.path.insert(0, str(TOP / "tools" / "demo_model"))

try:
    import numpy as np
    import bpe
    import checkpoint
    import corpus
    import reference
    import shape
except ImportError as missing:
    raise unittest.SkipTest(f"{missing}; tools/setup test installs what the system's Python needs for this test")


class KnownText(unittest.TestCase):
    """What another machine validates with is found however it was cut, and common phrases are not taken for it."""

    def setUp(self) -> None:
        text = (VALIDATION / "scripture.val.txt").read_text(encoding="utf-8")
        self.documents = text.split(bpe.DOCUMENT_SEPARATOR)
        self.known = corpus.KnownText(self.documents)

    def test_a_piece_that_begins_elsewhere_is_found(self) -> None:
        self.assertTrue(self.known.holds(self.documents[0][1234:3456]))

    def test_other_spaces_do_not_hide_a_text(self) -> None:
        self.assertTrue(self.known.holds("  \n".join(self.documents[1].split())))

    def test_text_of_another_domain_is_let_through(self) -> None:
        other = (VALIDATION / "german.val.txt").read_text(encoding="utf-8").split(bpe.DOCUMENT_SEPARATOR)[0]
        self.assertFalse(self.known.holds(other))

    def test_what_several_documents_say_is_no_sign(self) -> None:
        licence = self.documents[0][:400]
        known = corpus.KnownText(licence + document for document in self.documents[1:4])
        self.assertFalse(known.holds(licence))

    def test_a_document_that_quotes_a_line_is_let_through(self) -> None:
        quoting = self.documents[0][:100] + "".join(f" word{i}" for i in range(300))
        self.assertFalse(self.known.holds(quoting))


class Tokenizer(unittest.TestCase):
    def setUp(self) -> None:
        self.bpe = bpe.Bpe.load(MODEL / "tokenizer.json")

    def test_scripture_encodes_to_the_tokens_that_the_model_was_checked_with(self) -> None:
        ids = self.bpe.encode_documents((VALIDATION / "scripture.val.txt").read_text(encoding="utf-8"))
        expected = json.loads((MODEL / "expected.json").read_text(encoding="utf-8"))["tokens"]
        self.assertEqual(ids[: len(expected)], expected)

    def test_the_bytes_of_tokens_make_the_text_again(self) -> None:
        text = (VALIDATION / "german.val.txt").read_text(encoding="utf-8").split(bpe.DOCUMENT_SEPARATOR)[0]
        decoded = b"".join(self.bpe.tokens[token] for token in self.bpe.encode(text)).decode("utf-8")
        self.assertEqual(decoded, text)

    def test_saving_writes_the_file_that_was_loaded(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            self.bpe.save(Path(folder, "tokenizer.json"))
            self.assertEqual(Path(folder, "tokenizer.json").read_bytes(), (MODEL / "tokenizer.json").read_bytes())

    def test_merges_are_those_of_recounting_every_pair(self) -> None:
        words = Counter({"low": 5, "lower": 2, "newest": 6, "widest": 3, "seldom": 1})
        self.assertEqual(bpe.MergeLearner(words).learn(8), self.plain_merges(words, 8))

    @staticmethod
    def plain_merges(words: Counter, number: int) -> list:
        """The definition: count every pair of every repeated word, join the most frequent (the lowest of equals)."""
        spelt = {word: list(word.encode()) for word, count in words.items() if count > 1}
        merges = []
        for new_id in range(256, 256 + number):
            pairs: Counter = Counter()
            for word, ids in spelt.items():
                for pair in zip(ids, ids[1:]):
                    pairs[pair] += words[word]
            best = min(pairs, key=lambda pair: (-pairs[pair], pair))
            merges.append(best)
            for word, ids in spelt.items():
                spelt[word] = bpe.MergeLearner._merged(ids, best, new_id)
        return merges


class Checkpoint(unittest.TestCase):
    def test_bfloat16_rounds_to_nearest_even(self) -> None:
        halfway_up, halfway_down = 1.0 + 3 * 2.0**-8, 1.0 + 2.0**-8
        values = np.array([1.0, -2.5, halfway_down, halfway_up, halfway_down + 2.0**-20], dtype=np.float32)
        rounded = checkpoint.float32_values(checkpoint.bfloat16_bits(values))
        self.assertEqual(rounded.tolist(), [1.0, -2.5, 1.0, 1.0 + 2.0**-6, 1.0 + 2.0**-7])

    def test_rewriting_the_bundled_tensors_gives_the_bundled_file(self) -> None:
        tensors = checkpoint.read_safetensors(MODEL / "model.safetensors")
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder, "model.safetensors")
            checkpoint.write_safetensors(copy, {n: checkpoint.bfloat16_bits(t) for n, t in tensors.items()})
            self.assertEqual(copy.read_bytes(), (MODEL / "model.safetensors").read_bytes())

    def test_the_configuration_is_the_bundled_one(self) -> None:
        bundled = json.loads((MODEL / "config.json").read_text(encoding="utf-8"))
        self.assertEqual(checkpoint.model_config(), bundled)


class Reference(unittest.TestCase):
    def test_the_forward_pass_gives_the_recorded_logits_and_routes(self) -> None:
        recorded = json.loads((MODEL / "expected.json").read_text(encoding="utf-8"))
        computed = reference.expected_values(reference.DemoModel(MODEL), recorded["tokens"])
        self.assertEqual(len(computed["pre_gated"]["moe_layers"]), shape.LAYERS)
        self.assertEqual(reference.differences(computed, recorded, 1e-4), [])


class Prompts(unittest.TestCase):
    def test_every_domain_has_one_prompt_that_leaves_room_to_generate(self) -> None:
        lines = (TOP / "resources" / "prompts" / "domains.jsonl").read_text(encoding="utf-8").splitlines()
        prompts = {entry["label"]: entry["prompt"] for entry in map(json.loads, lines)}
        self.assertEqual(sorted(prompts), sorted(path.name.split(".")[0] for path in VALIDATION.glob("*.val.txt")))
        self.assertEqual(len(lines), len(prompts))
        tokenizer = bpe.Bpe.load(MODEL / "tokenizer.json")
        for label, prompt in prompts.items():
            self.assertIn(len(tokenizer.encode(prompt)), range(20, 61), label)


if __name__ == "__main__":
    unittest.main()
