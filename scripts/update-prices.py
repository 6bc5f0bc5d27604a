#!/usr/bin/env python3
"""Writes src/price/prices.json and src/price/NOTICE from two public price lists.

    scripts/update-prices.py [folder with the lists, default ../shared/data/prices]

The folder holds `genai-prices-<version>.json` and `litellm-<version>.json.gz`,
each with its licence. The output depends on them and on AS_OF only. Rates become
whole pico-dollars per token, rounded up. What cannot be billed from token counts
is left out, because a model without a price is denied and a model with a wrong
price is a hole in a budget; everything left out is printed.
"""

import gzip
import json
import pathlib
import re
import sys
from decimal import ROUND_CEILING, Decimal

ROOT = pathlib.Path(__file__).resolve().parent.parent
# The newest observed price in the list; later start dates are announcements.
AS_OF = "2026-10-20"

# Where a model is looked for when the provider is not one of the list's.
SEARCH_ORDER = [
    "openai", "anthropic", "google", "mistral", "deepseek", "x-ai", "cohere",
    "moonshotai", "perplexity", "groq", "openrouter",
]  # fmt: skip
# Resellers and tools whose names collide with a maker's and whose prices are not API list prices.
SKIPPED_PROVIDERS = {"cursor", "github-copilot", "quicksilverpro"}

# Our rate names, and what the list calls them ($ per million tokens).
RATES = {
    "in": "input_mtok", "cached": "cache_read_mtok", "write": "cache_write_mtok",
    "write_1h": "cache_write_1h_mtok", "out": "output_mtok", "reasoning": "output_reasoning_mtok",
    "audio_in": "input_audio_mtok", "audio_cached": "cache_audio_read_mtok",
    "audio_out": "output_audio_mtok",
}  # fmt: skip
# $ per thousand.
COUNTS = {"request": "requests_kcount", "search": "web_searches_kcount"}
# Tokens that a usage report does not tell apart: the dearer rate holds for all.
FOLDED = {
    "in": ["input_image_mtok", "input_video_mtok"], "cached": ["cache_image_read_mtok"],
    "out": ["output_image_mtok", "output_video_mtok", "output_citation_mtok"],
}  # fmt: skip
# Beyond this, folding would make plain text absurdly dear, so the model is left out.
MOST_FOLDED_INPUT = 4
NOT_METERED = {"storage_searches_kcount"}  # file search: apart from the tokens, not in a usage report

# Prefix rules that are wide on purpose: fine-tunes carry a free-form suffix, old ids a version.
WIDE = {"ft:gpt-3.5-turbo", "ft:gpt-4o-2024-", "ft:gpt-4o-mini-2024-", "ft:gpt-4-0",
        "gpt-4o-mini-2024-07-18.ft-", "claude-2", "claude-v2", "gemini-3.1-pro-preview", "gemini-2.0-flash-0"}  # fmt: skip
# Where a prefix was meant for dated names, but would also take in a dearer sibling:
# `gemini-3.8-flash-cyber` costs twice what `gemini-3.8-flash` does.
TIGHTENED_PROVIDERS = {"openai", "anthropic", "azure", "google"}

# litellm's names for the list's providers.
LITELLM = {
    "google": ["gemini", "vertex_ai"], "aws": ["bedrock"], "x-ai": ["xai"], "together": ["together_ai"],
    "fireworks": ["fireworks_ai"], "azure": ["azure", "azure_ai"], "moonshotai": ["moonshot"],
    "voyageai": ["voyage"],
}  # fmt: skip

left_out: list[str] = []


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "../shared/data/prices")
    genai_file, litellm_file = sole(folder, "genai-prices-*.json"), sole(folder, "litellm-*.json.gz")
    genai = json.loads(genai_file.read_text(), parse_float=Decimal, parse_int=Decimal)
    litellm = json.loads(gzip.decompress(litellm_file.read_bytes()), parse_float=Decimal)
    sources = [f"{genai_file.stem} (MIT, © Pydantic Services Inc.)",
               f"{litellm_file.name.removesuffix('.json.gz')} (MIT, © Berri AI)"]  # fmt: skip
    limits = Limits(litellm, genai)
    providers = [convert_provider(p, limits) for p in sorted(genai, key=lambda p: p["id"])
                 if p["id"] not in SKIPPED_PROVIDERS]  # fmt: skip
    write_book(ROOT / "src/price/prices.json", sources, [p for p in providers if p["models"]])
    write_notice(ROOT / "src/price/NOTICE", folder, sources)
    report(providers)


def sole(folder, pattern):
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        sys.exit(f"expected one {pattern} in {folder}, found {len(found)}")
    return found[0]


# --- models -----------------------------------------------------------------


def convert_provider(provider, limits):
    pid, models, unpriced = provider["id"], [], []
    for source in provider["models"]:
        name = f"{pid}/{source['id']}"
        names, rules = convert_match(source["match"], pid, name)
        try:
            model = convert_prices(source, pid, limits)
        except CannotPrice as why:
            left_out.append(f"{name}: {why}")
            unpriced += [source["id"].lower(), *names]
            continue
        models.append({"id": source["id"].lower(), "names": names, "rules": rules} | model
                      | limits.of(pid, source, names))  # fmt: skip
    drop_doubles(models)
    result = {"id": pid, "models": models}
    taken = {name for model in models for name in [model["id"], *model["names"]]}
    unpriced = sorted(set(unpriced) - taken)
    if unpriced:
        result["unpriced"] = unpriced
    if "fallback_model_providers" in provider:
        result["fallback"] = provider["fallback_model_providers"]
    return result


def drop_doubles(models):
    """The first model that states a name has it; an id goes without saying unless taken."""
    taken, ids = set(), {model["id"] for model in models}
    for model in models:
        model["names"] = [n for n in model["names"] if n == model["id"] or n not in ids]
        model["names"] = [n for n in model["names"] if not (n in taken or taken.add(n))]
    for model in models:
        model["names"] = [n for n in model["names"] if n != model["id"]]


class CannotPrice(Exception):
    """The model cannot be billed from a usage report."""


def convert_prices(source, pid, limits):
    stages = stages_of(source["prices"])
    model = {"price": priced(source, pid, limits, stages, AS_OF)}
    later = sorted(start for start, _ in stages["dated"] if start > AS_OF)
    if later:
        model["later"] = [[day, priced(source, pid, limits, stages, day)] for day in later]
        print(f"announced: {pid}/{source['id']} changes on {', '.join(later)}")
    regional = limits.specific(pid, source["id"]).get("us")
    if regional:
        model["regional"] = int(Decimal(regional) * 100)
    return model


def stages_of(prices):
    """A price list in its three kinds: always, from a day on, at an hour of the day."""
    stages = {"always": {}, "dated": [], "hours": []}
    for stage in prices if isinstance(prices, list) else [{"prices": prices}]:
        constraint = stage.get("constraint") or {}
        if "start_date" in constraint:
            stages["dated"].append((constraint["start_date"], stage["prices"]))
        elif constraint:
            stages["hours"].append(stage["prices"])
        else:
            stages["always"] = stage["prices"]
    return stages


def priced(source, pid, limits, stages, day):
    """All rate sheets in effect on a day: {service tier: [sheet, sheet above n tokens …]}."""
    base = stages["always"]
    for start, prices in sorted(stages["dated"], key=lambda stage: stage[0]):
        base = prices if start <= day else base
    variants, unseen = {}, list(stages["hours"])
    by_start = lambda variant: (variant.get("constraint") or {}).get("start_date", "")
    for variant in sorted(source.get("price_variants", []), key=by_start):
        if by_start(variant) > day:
            continue
        when = variant["when"]
        tier = when.get("service_tier") or when.get("processing")
        if tier is None:  # a response does not show it: the dearest holds
            unseen.append(variant["prices"])
        elif tier != "default":
            variants[tier] = variant["prices"]
    if not base:
        raise CannotPrice("no price")
    sheets = sheets_of(base, source["id"])
    for prices in unseen:
        sheets = dearest(sheets, sheets_of({**base, **prices}, source["id"]))
    price = {"default": sheets}
    for tier, prices in sorted(variants.items()):
        price[tier] = sheets_of({**base, **prices}, source["id"])
    add_fast(price, limits.specific(pid, source["id"]).get("fast"))
    for sheet in (sheet for tier in price.values() for sheet in tier):
        limits.add_audio(pid, source["id"], sheet, sheets[0])
    return price


def sheets_of(prices, model):
    starts = {0} | {int(t["start"]) for p in prices.values() if isinstance(p, dict) for t in p["tiers"]}
    return [sheet_of(prices, start, model) for start in sorted(starts)]


def sheet_of(prices, start, model):
    """The rates of a request with just more than `start` tokens: a cliff, no mixing."""
    flat = {}
    for field, price in prices.items():
        if isinstance(price, dict):
            tiers = [t["price"] for t in price["tiers"] if int(t["start"]) <= start]
            price = tiers[-1] if start and tiers else price["base"]
        flat[field] = price
    known = {*RATES.values(), *COUNTS.values(), *NOT_METERED, *(f for l in FOLDED.values() for f in l)}
    if set(flat) - known:
        raise CannotPrice("billed by " + ", ".join(sorted(set(flat) - known)))
    if "input_mtok" not in flat:
        raise CannotPrice("no input rate")
    for ours, folded in FOLDED.items():
        rate, plain = RATES[ours], flat.get(RATES[ours])
        dear = max((flat[f] for f in folded if f in flat), default=None)
        if dear is None or (plain is None and ours == "cached"):
            continue
        if ours == "in" and dear > plain * MOST_FOLDED_INPUT:
            raise CannotPrice(f"images or video at {float(dear / plain):g} times the text rate")
        flat[rate] = max(plain or Decimal(0), dear)
    sheet = {ours: pico(flat[theirs]) for ours, theirs in RATES.items() if theirs in flat}
    sheet |= {ours: pico(flat[theirs] * 1000) for ours, theirs in COUNTS.items() if theirs in flat}
    # Embeddings state no output rate; absent is not free.
    sheet.setdefault("out", sheet["in"])
    if "claude" in model and "write" in sheet:
        sheet.setdefault("write_1h", 2 * sheet["in"])  # Anthropic: twice the input rate, everywhere
    return ({"above": start} if start else {}) | sheet


def pico(dollars_per_million):
    return int((dollars_per_million * 10**6).to_integral_value(rounding=ROUND_CEILING))


def dearest(left, right):
    if [s.get("above") for s in left] != [s.get("above") for s in right]:
        raise CannotPrice("prices by the hour with different context tiers")
    return [{k: max(a.get(k, 0), b.get(k, 0)) for k in {**a, **b}} for a, b in zip(left, right)]


def add_fast(price, factor):
    """Anthropic's fast mode: every token rate times a factor."""
    if factor and "fast" not in price:
        scale = lambda key, rate: rate if key in ("above", *COUNTS) else -int(-rate * Decimal(factor) // 1)
        price["fast"] = [{k: scale(k, v) for k, v in sheet.items()} for sheet in price["default"]]


# --- match rules ------------------------------------------------------------


def convert_match(match, pid, name):
    """Exact names, and rules for the rest: [kind, text] or [kind, text, unless this segment is there]."""
    names, rules = [], []
    for clause in match["or"] if "or" in match else [match]:
        conditions = clause["and"] if "and" in clause else [clause]
        rule = {}
        for condition in conditions:
            ((kind, text),) = condition.items()
            converted = convert_condition(kind, text, pid)
            if converted is None or converted[0] in rule:
                left_out.append(f"{name}: its rule {json.dumps(clause)}")
                break
            rule[converted[0]] = converted[1]
        else:
            if set(rule) == {"equals"}:
                names.append(rule["equals"])
            else:
                unless = [rule.pop("without")] if len(rule) == 2 and "without" in rule else []
                ((kind, text),) = rule.items()  # one condition, at most one exception
                rules += [[kind, text, *unless]] if [kind, text, *unless] not in rules else []
    return names, rules


DATES = [r"-\d{8}$", r"[-@]\d{8}$", r"-\d{4}-\d{2}-\d{2}$", r"-\d"]


def convert_condition(kind, text, pid):
    if kind == "regex":
        return convert_regex(text)
    text = text.lower()
    tight = pid in TIGHTENED_PROVIDERS and text not in WIDE
    if kind == "starts_with":
        return ("versioned", stem(text)) if tight else ("starts", text)
    if kind == "contains":
        return ("ends_versioned", stem(text)) if tight else ("contains", text)
    return {"equals": ("equals", text), "ends_with": ("ends", text)}.get(kind)


def stem(prefix):
    """`claude-sonnet-4-2025` and `claude-sonnet-4@` are cut in the middle of a version."""
    return re.sub(r"(-20\d\d|[-@])$", "", prefix)


def convert_regex(pattern):
    if pattern == "^(?!.*-[tT][tT][sS](?:$|-))":
        return "without", "-tts"
    for suffix, kind in [(d, "versioned") for d in DATES] + [("$", "equals")]:
        body = pattern.removeprefix("^").removesuffix(suffix)
        literal = re.sub(r"\\(.)", r"\1", body)
        if pattern == "^" + body + suffix and re.escape(literal).replace(r"\-", "-") in (
            body, body.replace("=", r"\=")):  # fmt: skip
            return kind, literal.lower()
    return None


# --- what only litellm knows ------------------------------------------------


class Limits:
    """Output and context limits, audio rates and multipliers of litellm's list."""

    def __init__(self, litellm, genai):
        self.rows = {}
        for key, row in litellm.items():
            family = str(row.get("litellm_provider"))
            for name in {key.lower(), key.lower().split("/", 1)[-1]}:
                self.rows.setdefault(name, []).append((family, row))
        router = next(p for p in genai if p["id"] == "openrouter")
        self.router = {m["id"]: stages_of(m["prices"])["always"] for m in router["models"]}

    def find(self, pid, name):
        families = tuple(LITELLM.get(pid, [pid]))
        return [row for family, row in self.rows.get(name, []) if family.startswith(families)]

    def of(self, pid, source, names):
        rows = [row for name in [source["id"].lower(), *names] for row in self.find(pid, name)]
        if pid == "openrouter" and "/" in source["id"]:
            maker, name = source["id"].lower().lstrip("~").split("/", 1)
            rows += self.find(maker, name.split(":")[0])
            if maker == "anthropic":
                rows += self.find(maker, name.split(":")[0].replace(".", "-"))
        known = {}
        windows = [int(source["context_window"])] if "context_window" in source else []
        windows = windows or whole(rows, "max_input_tokens")
        if windows:
            known["window"] = max(windows)
        outputs = whole(rows, "max_output_tokens")
        if outputs:
            known["most_out"] = max(outputs)
        if rows:
            known |= abilities(rows)
        return known

    def specific(self, pid, model):
        """Anthropic's factors for US-only inference (`us`) and fast mode (`fast`)."""
        if pid != "anthropic":
            return {}
        factors = {}
        for row in self.find(pid, model):
            factors |= row.get("provider_specific_entry") or {}
        dotted = re.sub(r"-(\d)-(\d)$", r"-\1.\2", model)
        fast, plain = (self.router.get(f"anthropic/{dotted}{end}") for end in ("-fast", ""))
        if fast and plain and "fast" not in factors:
            factors["fast"] = fast["input_mtok"] / plain["input_mtok"]
        return factors

    def add_audio(self, pid, model, sheet, plain):
        fields = {"audio_in": "input_cost_per_audio_token", "audio_out": "output_cost_per_audio_token"}
        for ours, theirs in fields.items():
            stated = [row[theirs] for row in self.find(pid, model) if row.get(theirs)]
            rate = max((pico(Decimal(str(rate)) * 10**6) for rate in stated), default=0)
            if ours not in sheet and rate > plain["in" if ours == "audio_in" else "out"]:
                sheet[ours] = rate
        if re.search("audio|realtime", model) and not {"audio_in", "audio_out"} & set(sheet):
            raise CannotPrice("its audio rate is not known")


ABILITIES = {
    "tools": ["supports_function_calling"],
    "media": ["supports_vision", "supports_audio_input", "supports_pdf_input"],
    "schema": ["supports_response_schema"],
}


def abilities(rows):
    """What the model does instead of talking, and what it cannot take."""
    modes = {row.get("mode", "chat") for row in rows}
    if not modes & {"chat", "responses", "completion", "realtime"}:
        return {"kind": "embedding" if "embedding" in modes else "other"}
    lacks = [name for name, fields in ABILITIES.items() if not any(row.get(f) for row in rows for f in fields)]
    return {"lacks": lacks} if lacks else {}


def whole(rows, field):
    return [int(r[field]) for r in rows if isinstance(r.get(field), (int, Decimal)) and r[field] > 0]


# --- output -----------------------------------------------------------------


def write_book(path, sources, providers):
    """One model a line, so that a price change is one line of a diff."""
    line = lambda value: json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    out = ["{", f'"notice":{line("Generated by scripts/update-prices.py from " + " and ".join(sources) + "; licences in NOTICE.")},',
           f'"unit":"pico-dollars per token, request or search","as_of":"{AS_OF}",',
           f'"search_order":{line(SEARCH_ORDER)},', '"providers":[']  # fmt: skip
    for provider in providers:
        head = {key: value for key, value in provider.items() if key != "models"}
        models = [{k: v for k, v in model.items() if v != []} for model in provider["models"]]
        out.append(line(head)[:-1] + ',"models":[')
        out.append(",\n".join(line(model) for model in models))
        out.append("]}" if provider is providers[-1] else "]},")
    path.write_text("\n".join(out + ["]}"]) + "\n")


def write_notice(path, folder, sources):
    parts = ["prices.json is generated from two public lists, under these licences.\n"]
    for source, name in zip(sources, ["genai-prices", "litellm"]):
        parts.append(f"{'=' * 72}\n{source}\n{'=' * 72}\n\n{(folder / f'LICENSE.{name}').read_text().strip()}\n")
    path.write_text("\n".join(parts))


def report(providers):
    for line in left_out:
        print("left out:", line)
    models = sum(len(p["models"]) for p in providers)
    size = (ROOT / "src/price/prices.json").stat().st_size
    print(f"{models} models of {len(providers)} providers, {size} bytes, {len(left_out)} left out")


main()
