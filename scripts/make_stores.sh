#!/usr/bin/env bash
# Make all stores of features that the recipes `commands` and `wake` read, from recordings laid out as docs/training.md shows.
#
#     scripts/make_stores.sh DATA_DIR SYNTHETIC_DIR STORES_DIR
#
# SYNTHETIC_DIR: what scripts/make_synthetic.sh made; its first set may also be DATA_DIR/synthetic.
# A store that is there already is left alone, so an interrupted run goes on where it was.
set -eu
if [ $# -ne 3 ]; then
    echo "usage: scripts/make_stores.sh DATA_DIR SYNTHETIC_DIR STORES_DIR" >&2
    exit 2
fi
python=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/python
data=$1 made=$2 stores=$3
base=$data/synthetic
[ -d "$base" ] || base=$made/base
for folder in "$data"/speech-commands/{train,validation,noise} "$data"/{negatives,rooms,wake-phrases} "$base" \
    "$made"/{words,keywords,sentences,lists,espeak-lists,espeak-words,wake,wake-near,wake-validation}; do
    if [ ! -d "$folder" ]; then
        echo "make_stores.sh: $folder: no such folder; docs/training.md says what belongs there" >&2
        exit 2
    fi
done
mkdir -p "$stores"
data=$(cd "$data" && pwd)
made=$(cd "$made" && pwd)
base=$(cd "$base" && pwd)
stores=$(cd "$stores" && pwd)

store() { # NAME SOURCE OPTION...
    local name=$1
    shift
    if [ -e "$stores/$name/store.json" ]; then
        echo "$stores/$name: is there already"
    else
        "$python" -m tinyhark.app features "$@" --out "$stores/$name"
    fi
}

# The file names of Speech Commands begin with the speaker.
speech_commands=(--origin speech-commands --licence CC-BY-4.0 --speaker-pattern '^([0-9a-f]{8})_nohash')
synthetic=(--origin kokoro-synthesis --licence own)
espeak=(--origin espeak-synthesis --licence own)

store sc-validation "$data/speech-commands/validation" "${speech_commands[@]}" --split validation
store sc-train "$data/speech-commands/train" "${speech_commands[@]}"
store synthetic "$base" "${synthetic[@]}"

# Noise: the last 30 % of each background recording stay out of training, for a test on silence.
store noise "$data/speech-commands/noise" --origin speech-commands --licence CC-BY-4.0 \
    --label _silence_ --part 0:0.7 --segment-s 10
store esc10 "$data/negatives/environment-esc10.csv" --origin esc-10 --licence CC-BY-3.0 --label _silence_

# Speech without keywords.
store orders "$data/negatives/english-orders.csv" --origin picovoice-speech-to-intent --licence Apache-2.0 \
    --label _unknown_
store german "$data/negatives/german-reading.csv" --origin voice-kerstin --licence CC0-1.0 --label _unknown_
store arabic "$data/negatives/arabic-words.csv" --origin arabic-speech-commands --licence CC-BY-4.0 --label _unknown_

# A second copy of the words, each in one of the rooms, one in five overdriven. One room of web-audio-samples, the concert
# hall in Pori (bin_dfeq), has a licence of its own that excludes commercial use: weights must not learn from it.
rooms=$stores/rooms
mkdir -p "$rooms"
for file in "$data"/rooms/*; do
    case "$file" in
        */binaural-*) ;;
        *) ln -sfn "$file" "$rooms/" ;;
    esac
done
store sc-train-rooms "$data/speech-commands/train" "${speech_commands[@]}" --copies 1 --rooms "$rooms"
store synthetic-rooms "$base" "${synthetic[@]}" --copies 1 --rooms "$rooms"

# Synthetic speech of scripts/make_synthetic.sh.
store synthetic-more "$made/words" "$made/keywords" "${synthetic[@]}"
store synthetic-more-rooms "$made/words" "$made/keywords" "${synthetic[@]}" --copies 1 --rooms "$rooms"
store synthetic-sentences "$made/sentences" "${synthetic[@]}" --label _unknown_
store synthetic-sentences-rooms "$made/sentences" "${synthetic[@]}" --label _unknown_ --copies 1 --rooms "$rooms"
store kokoro-lists "$made/lists" "${synthetic[@]}" --label _unknown_
store kokoro-lists-rooms "$made/lists" "${synthetic[@]}" --label _unknown_ --copies 1 --rooms "$rooms"
store espeak-lists "$made/espeak-lists" "${espeak[@]}" --label _unknown_
store espeak-words "$made/espeak-words" "${espeak[@]}"

# The wake phrases, in rooms twice: there are few of them. Their validation speaks in voices that no other store has.
wake_phrases=(--origin picovoice-wake-word-benchmark --licence Apache-2.0)
store wake-phrases "$data/wake-phrases" "${wake_phrases[@]}"
store wake-phrases-rooms "$data/wake-phrases" "${wake_phrases[@]}" --copies 2 --rooms "$rooms"
store wake-synthetic "$made/wake" "${synthetic[@]}"
store wake-synthetic-rooms "$made/wake" "${synthetic[@]}" --copies 1 --rooms "$rooms"
store wake-near "$made/wake-near" "${synthetic[@]}"
store wake-near-rooms "$made/wake-near" "${synthetic[@]}" --copies 1 --rooms "$rooms"
store wake-validation "$made/wake-validation" "${synthetic[@]}" --split validation
