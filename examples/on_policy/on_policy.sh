#!/bin/sh
# A model's own answers become its next training set: sample, judge, train, compare.
#
#   sh on_policy.sh MODEL PROMPTS HELD_OUT [FOLDER]
#
# Every step goes on where a kill stopped it. May be set: SAMPLES (answers to a prompt), MATCHES (answers to a held-out
# prompt), TOKENS (of an answer), BATCH (answers drawn at once), DTYPE (of the weights that answer), TRAIN (options of
# penchant train).
set -eu
model=$1 prompts=$2 held_out=$3 folder=${4:-runs/on_policy}
rule=$(dirname "$0")/concise.py:better
penchant() { "${PYTHON:-python3}" -m penchant "$@"; }

# 1. Several answers to each prompt, at a temperature at which they differ.
penchant sample --model "$model" --prompts "$prompts" --output "$folder/answers.jsonl" \
    --samples "${SAMPLES:-4}" --max-new-tokens "${TOKENS:-96}" --batch-size "${BATCH:-32}" \
    --dtype "${DTYPE:-float32}" --temperature 1.0

# 2. Each two of them before the judge, in both orders; what it prefers is a pair to train on.
penchant judge "$folder/answers.jsonl" --rule "$rule" --output "$folder/pairs.jsonl" --cache "$folder/judge-cache"

# 3. A step away from the model that gave the answers, which is the reference. The card is written last of all.
if [ ! -f "$folder/run/README.md" ]; then
    again=
    [ ! -f "$folder/run/config.yaml" ] || again=--resume
    # shellcheck disable=SC2086
    penchant train --model "$model" --data "$folder/pairs.jsonl" --method dpo --output-dir "$folder/run" ${TRAIN:-} $again
fi

# 4. Old and new model on prompts that neither was trained on, before the same judge; the run's report has it too.
penchant compare "$folder/run" "$model" --prompts "$held_out" --judge "$rule" --output "$folder/compare" \
    --cache "$folder/judge-cache" --samples "${MATCHES:-1}" --max-new-tokens "${TOKENS:-96}" --batch-size "${BATCH:-32}" \
    --dtype "${DTYPE:-float32}"
penchant report "$folder/run" --comparison "$folder/compare"
