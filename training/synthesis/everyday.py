"""Everyday words, and strings of them: what a wake word is not, where recordings of other speech lack."""

import numpy as np

_TEXT = """
    about after again air almost always angry animal answer apple around arrive autumn away bacon ball banana basket
    beautiful because before begin behind better between bicycle bird birthday blanket blue bottle bread bridge bring
    brother brown building business butter button camera candle carry castle chair change cheese chicken children city
    clean clock cloud coffee cold colour company cook corner country cousin dance daughter dinner doctor door dream
    drink early easy eight engine evening every eyes family famous farmer father finger finish flower follow forest
    forget fresh friend garden gentle glass goodbye government grandmother green guitar hammer happy heavy hello
    history holiday hospital hundred husband idea important kitchen ladder language later laugh letter library light
    listen little lunch machine market marry maybe message midnight minute money monday morning mother mountain music
    narrow nature never newspaper nobody november number ocean office often orange paper parents pencil people perhaps
    picture pocket police potato power present problem purple question quickly quiet radio rain ready really remember
    river sandwich saturday school seven shadow shoulder silver sister sleep slowly someone sometimes special spring
    station story strange student sudden sugar summer table teacher telephone television thank theatre thirty thousand
    ticket tired today together tomorrow travel turn twenty umbrella uncle under unhappy vegetable village visit voice
    wait walk water weather wednesday window winter woman wonder yellow yesterday young"""
WORDS = tuple(_TEXT.split())


def strings(count: int, seed: int) -> list[str]:
    """`count` strings of four to seven words, drawn from the seed."""
    rng = np.random.default_rng([seed, 0x5EED])
    return [" ".join(rng.choice(WORDS, int(rng.integers(4, 8)), replace=False)) for _ in range(count)]
