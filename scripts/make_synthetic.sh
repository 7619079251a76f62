#!/usr/bin/env bash
# Render the synthetic speech that the recipes `commands` and `wake` learn from, with Kokoro-82M (about 5,600 clips, 0.7 CPU
# seconds a word) and espeak-ng (1,400 clips, seconds in all).
#
#     scripts/make_synthetic.sh SYNTHETIC_DIR     # after: hark data kokoro
#
# Makes SYNTHETIC_DIR/base, words, keywords, sentences, lists, espeak-lists, espeak-words, wake, wake-near and
# wake-validation, in each a folder a phrase. Clips that are there already are not rendered again, so an interrupted run goes
# on where it was.
set -eu
if [ $# -ne 1 ]; then
    echo "usage: scripts/make_synthetic.sh SYNTHETIC_DIR" >&2
    exit 2
fi
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
made=$1

say() { # FOLDER COUNT SEED PHRASE...
    say_with kokoro "$@"
}

say_with() { # ENGINE FOLDER COUNT SEED PHRASE...
    local engine=$1 folder=$2 count=$3 seed=$4
    shift 4
    "$here/python" -m tinyhark.app say "$@" --engine "$engine" --count "$count" --seed "$seed" --out "$made/$folder"
}

# More of the words that validation showed to be weak, and of what was taken for them.
say words 250 2024 "off|off.|off!"
say words 60 2024 house marvin nine seven sheila six tree wow
say words 40 2024 go down on no up
say words 10 2024 ago and app cloth doff drop dune goal gold golf gown grow gum in knee laugh lefty less new offer oft rice \
    rye scoff upon yell yup

say keywords 45 11 yes left right "stop|stop."
say keywords 25 12 "up|up." "go|go." "on|on." down no

# Sentences without a keyword.
mapfile -t sentences <"$here/sentences.txt"
say sentences 4 13 "${sentences[@]}"

# Words without a keyword, eight or ten in a row: thousands of different ones for little time.
mapfile -t lists <"$here/word-lists-kokoro.txt"
say lists 1 31 "${lists[@]}"
mapfile -t lists <"$here/word-lists-espeak.txt"
say_with espeak espeak-lists 2 32 "${lists[@]}"
say_with espeak espeak-words 60 33 yes no up down left right on off stop go

# The wake phrases, what sounds like them, and a validation set in voices that speak nowhere else.
say wake-near 8 32 "a letter" "a luxury" "all extra" alexander alexandria alexis "a lexus" "annex a" electric elixir "flex a" \
    lexicon relax texas "a legs up" committee compare competed computation compute complete composer "come to her" cuter \
    commuter pewter tutor scooter community "carve this" "charge us" harness harvest "jar of" jars jarred "jar this" marvelous \
    nervous service starving tarnish travis java "hey jar" busboy cowboy "no boy" "show boy" "slow boy" snowball snowboard \
    "snow bowl" snowing snowman "snow white" tomboy "toy boy" snow boy
# What ends as `computer` does, or begins so.
say wake-near 12 34 operator operators operated "operator please" "opera tour" cooperate "come over here" "come to the" computing \
    commander camera competitor composer counter deputy "keep her" peter "the printer" "to her" tuber "want to hear" "who put her"
say wake 60 31 "alexa|alexa!|alexa?" "computer|computer!|computer?" "jarvis|jarvis!|jarvis?" "snowboy|snowboy!|snowboy?"
say wake-validation 24 33 alexa computer jarvis snowboy --voices af_nova,am_echo,bf_lily,bm_lewis
say wake-validation 4 33 alexis "a lecture" commuter compute harvest travis snowball cowboy electric community service \
    "could you pass me the salt please" "the meeting was cancelled" --voices af_nova,am_echo,bf_lily,bm_lewis

# The first set: words that have few recordings or none, and keywords.
say base 200 1 "off|off.|off!"
say base 50 1 backward down follow go house learn left marvin nine no on right seven sheila six stop tree up visual \
    wow yes
say base 100 1 alexa computer jarvis snowboy

# Near-misses and rhymes of the keywords, and of the phrases above.
say base 8 1 "a lecture" "a lexus" alaska alex alexis an apple aunt awful bright brown chess come commuter competitor \
    compute "compute her" computing cough cowboy cup dawn done downtown dress drown elect election ghost gnome goat going \
    gone guess harvest hey janitor "jar of" java jervis knife laughed leaf leftover let lift loft low mess night none nope \
    nor note now of often oh okay online own pewter pup ride shop "slow boy" snow "snow bowl" "snow day" snowball so soft \
    step stock stopped stuff though top town travis turn upper weather yeah yep yesterday yet

# Common words.
say base 4 1 air alarm always angry answer art back banana beautiful bicycle body book bottle bread brother business \
    butter call camera car case change cheese chicken child city close coffee community company cousin day dinner doctor \
    door education end eye face fact farmer father force forecast friend game garden girl goodbye green group guy hand \
    happy head health heavy hello history hour hungry idea information issue job keyboard kid kind kitchen lamp law level \
    life light line louder man maybe member message minute moment money month morning mother mountain music name never \
    next number nurse office open orange others paper parent part party pause pencil people person place play please \
    point police potato power president previous problem purple quick quiet reason remind research result river schedule \
    school service side silver sister slow sometimes sorry story strange sugar summer table teacher team telephone \
    television temperature thanks time timer tired tomorrow tonight uncle volume war water way week window winter woman \
    word work world yellow
