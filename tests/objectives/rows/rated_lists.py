"""Golden rows of the losses on lists of answers with ratings; an entry is a tuple with one number per answer."""

from __future__ import annotations

import mpmath as mp

from .recipe import Recipe, row, softplus


def softmax(x):
    total = mp.fsum(map(mp.exp, x))
    return [mp.exp(v) / total for v in x]


def rewards(logps, refs, beta):
    return [beta * (p - r) for p, r in zip(logps, refs, strict=True)]


def info_nca(logps, refs, ratings, beta, temperature):
    p, q = softmax(rewards(logps, refs, beta)), softmax([r / temperature for r in ratings])
    return -mp.fsum(y * mp.log(x) for x, y in zip(p, q, strict=True))


def nca_list(logps, refs, ratings, beta, temperature):
    s, q = rewards(logps, refs, beta), softmax([r / temperature for r in ratings])
    return mp.fsum(y * softplus(-x) + softplus(x) / len(s) for x, y in zip(s, q, strict=True))


def exo_list(logps, refs, ratings, beta, temperature):
    p, q = softmax(rewards(logps, refs, beta)), softmax([r / temperature for r in ratings])
    return mp.fsum(x * mp.log(x / y) for x, y in zip(p, q, strict=True))


def lipo(logps, refs, ratings, beta, held):
    s = rewards(logps, refs, beta)
    return mp.fsum(weight * softplus(s[j] - s[i]) for (i, j), weight in held.items())


def swap_gains(logps, refs, ratings, beta):
    s = rewards(logps, refs, beta)
    order = sorted(range(len(s)), key=lambda i: -s[i])
    discounts = {i: mp.log(2) / mp.log(2 + place) for place, i in enumerate(order)}
    return {
        (i, j): (2 ** ratings[i] - 2 ** ratings[j]) * abs(discounts[i] - discounts[j])
        for i in order
        for j in order
        if ratings[i] > ratings[j]
    }


def best(ratings):
    return ratings.index(max(ratings))


def pro(logps, lengths, ratings, alpha):
    means = [p / n for p, n in zip(logps, lengths, strict=True)]
    total = -alpha * means[best(ratings)]
    for p, r in zip(means, ratings, strict=True):
        worse = [(q, r - v) for q, v in zip(means, ratings, strict=True) if v < r]
        own = p * max((gap for _, gap in worse), default=0)
        total += mp.log(1 + mp.fsum(mp.exp(q * gap - own) for q, gap in worse))
    return total


def rrhf(logps, lengths, ratings, alpha):
    means = [p / n for p, n in zip(logps, lengths, strict=True)]
    rated = list(zip(means, ratings, strict=True))
    hinges = mp.fsum(max(mp.mpf(0), p - q) for p, r in rated for q, v in rated if r < v)
    return hinges - alpha * means[best(ratings)]


_RATED = ("policy_list_logps", "ref_list_logps", "list_scores")
_COUNTED = ("policy_list_logps", "list_lengths", "list_scores")


RECIPES = {
    "info_nca_loss": Recipe(info_nca, _RATED, {"beta": 0.01, "temperature": 1e-4}, lists=_RATED),
    "nca_list_loss": Recipe(nca_list, _RATED, {"beta": 0.01, "temperature": 1e-4}, lists=_RATED),
    "exo_list_loss": Recipe(exo_list, _RATED, {"beta": 0.5, "temperature": 0.5}, lists=_RATED),
    "lipo_loss": Recipe(lipo, _RATED, {"beta": 0.05}, lists=_RATED, held=swap_gains),
    "pro_loss": Recipe(pro, _COUNTED, {"alpha": 0.05}, lists=_COUNTED),
    "rrhf_loss": Recipe(rrhf, _COUNTED, {"alpha": 1.0}, lists=_COUNTED),
}

# fmt: off
ROWS = [
    row("info_nca_loss", "s 0.7, -0.2 and 0.4", ((7.0, -2.0, 4.0), (0.0, 0.0, 0.0), (2.0, 1.0, 0.0)),
        1.0115169600644214, (-0.019955890125780813, -0.005539627660251225, 0.02549551778603204), beta=0.1,
        temperature=1.0),
    row("info_nca_loss", "two lists of four", (((-12.0, -30.0, -8.5, -21.0), (-40.0, -22.5, -31.0, -18.0)), ((-14.0,
        -29.0, -9.0, -20.5), (-35.0, -23.0, -33.0, -19.25)), ((1.0, 0.25, 0.5, -0.75), (0.0, 0.75, 0.5, 0.25))),
        1.12263495121667, ((-0.16930274986845698, 0.03530021608543515, 0.062110324226720366, 0.07189220955630145),
        (-0.009134459735547856, -0.21410365613230162, 0.10988439680611575, 0.11335371906173372)), beta=0.5,
        temperature=0.25),
    row("info_nca_loss", "policy is reference", ((-12.5, -30.25, -9.0), (-12.5, -30.25, -9.0), (0.5, 1.0, 0.0)),
        1.0986122886681098, (0.1, -0.2, 0.1), beta=0.3),
    row("info_nca_loss", "z 800 and -800", (((500.0, -300.0), (-300.0, 500.0)), ((0.0, 0.0), (0.0, 0.0)), ((1.0,
        0.0), (1.0, 0.0))),
        400.0, ((0.2689414213699951, -0.2689414213699951), (-0.7310585786300049, 0.7310585786300049)), beta=1.0,
        temperature=1.0),
    row("nca_list_loss", "s 0.7, -0.2 and 0.4", ((7.0, -2.0, 4.0), (0.0, 0.0, 0.0), (2.0, 1.0, 0.0)),
        1.3811769584831806, (0.00019941738087665662, 0.001549530073294359, 0.016343217339039484), beta=0.1,
        temperature=1.0),
    row("nca_list_loss", "two lists of four", (((-12.0, -30.0, -8.5, -21.0), (-40.0, -22.5, -31.0, -18.0)), ((-14.0,
        -29.0, -9.0, -20.5), (-35.0, -23.0, -33.0, -19.25)), ((1.0, 0.25, 0.5, -0.75), (0.0, 0.75, 0.5, 0.25))),
        1.275858744543698, ((-0.021996117246499254, 0.034127857303682, 0.04529261194094497, 0.054511822795738914),
        (-0.0053310754879618925, -0.07068833458611705, 0.0595285214311354, 0.06622813668255656)), beta=0.5,
        temperature=0.25),
    row("nca_list_loss", "policy is reference", ((-12.5, -30.25, -9.0), (-12.5, -30.25, -9.0), (0.5, 1.0, 0.0)),
        1.3862943611198906, (0.05, -0.1, 0.05), beta=0.3),
    row("nca_list_loss", "z 800 and -800", (((500.0, -300.0), (-300.0, 500.0)), ((0.0, 0.0), (0.0, 0.0)), ((1.0,
        0.0), (1.0, 0.0))),
        400.0, ((0.5, -0.2689414213699951), (-0.7310585786300049, 0.5)), beta=1.0, temperature=1.0),
    row("exo_list_loss", "s 0.7, -0.2 and 0.4", ((7.0, -2.0, 4.0), (0.0, 0.0, 0.0), (2.0, 1.0, 0.0)),
        0.24876279647781097, (-0.02819281051722975, -0.00956901943459843, 0.03776182995182818), beta=0.1,
        temperature=1.0),
    row("exo_list_loss", "policy is reference", ((-12.5, -30.25, -9.0), (-12.5, -30.25, -9.0), (0.5, 1.0, 0.0)),
        0.08165738197362489, (2.4545467326488633e-91, -0.05, 0.05), beta=0.3, temperature=1.0),
    row("exo_list_loss", "z 800 and -800", (((500.0, -300.0), (-300.0, 500.0)), ((0.0, 0.0), (0.0, 0.0)), ((1.0,
        0.0), (1.0, 0.0))),
        0.8132616875182228, ((0.0, 0.0), (0.0, 0.0)), beta=1.0, temperature=1.0),
    row("lipo_loss", "two answers at P", ((-12.0, -30.0), (-14.0, -29.0), (1.0, 0.0)),
        0.20459602668495425, (-0.01570606051898314, 0.01570606051898314), beta=0.1),
    row("lipo_loss", "s 0.7, -0.2 and 0.4", ((7.0, -2.0, 4.0), (0.0, 0.0, 0.0), (2.0, 1.0, 0.0)),
        1.090779996477424, (-0.07602323129444902, 0.020451487630899517, 0.0555717436635495), beta=0.1),
    row("lipo_loss", "two lists of four", (((-12.0, -30.0, -8.5, -21.0), (-40.0, -22.5, -31.0, -18.0)), ((-14.0,
        -29.0, -9.0, -20.5), (-35.0, -23.0, -33.0, -19.25)), ((1.0, 0.25, 0.5, -0.75), (0.0, 0.75, 0.5, 0.25))),
        0.36051746426321174, ((-0.15502981266362206, 0.03774549756098343, 0.007195174717959166,
        0.11008914038467947), (0.00567353937107792, -0.06596526660049451, 0.025064176389880087,
        0.035227550839536506)), beta=0.5),
    row("lipo_loss", "equal ratings", ((7.0, -2.0, 4.0), (0.0, 0.0, 0.0), (1.0, 0.5, 1.0)),
        0.18698658576364408, (-0.0057020564024142005, 0.007334002834189589, -0.0016319464317753893)),
    row("lipo_loss", "policy is reference", ((-12.5, -30.25, -9.0), (-12.5, -30.25, -9.0), (0.5, 1.0, 0.0)),
        0.38416495790125976, (0.0013634345554368545, -0.0520689147691376, 0.05070548021370074), beta=0.3),
    row("lipo_loss", "z 800 and -800", (((500.0, -300.0), (-300.0, 500.0)), ((0.0, 0.0), (0.0, 0.0)), ((1.0, 0.0),
        (1.0, 0.0))),
        147.628098571417, ((-0.0, 0.0), (-0.3690702464285426, 0.3690702464285426)), beta=1.0),
    row("pro_loss", "P", ((-12.0, -30.0), (8.0, 15.0), (1.0, 0.0)),
        0.5490769841801066, (-0.05344258359976818, 0.025169377919876362)),
    row("pro_loss", "equal ratings", ((-12.0, -30.0, -8.5), (8.0, 15.0, 4.0), (1.0, 0.0, 1.0)),
        1.3066760194972757, (-0.05344258359976818, 0.06058333614479345, -0.13280234334343907)),
    row("pro_loss", "at the same log-prob per token", ((-8.0, -4.0, -12.0), (4.0, 2.0, 6.0), (0.5, 1.0, 0.0)),
        2.3445918944919963, (0.009514610595728638, -0.4190292211914573, 0.07699025960284757)),
    row("pro_loss", "800 apart", (((-100.0, -900.0), (-900.0, -100.0)), ((1.0, 1.0), (1.0, 1.0)), ((1.0, 0.0), (1.0,
        0.0))),
        425.0, ((-0.05, 0.0), (-1.05, 1.0))),
    row("rrhf_loss", "P", ((-12.0, -30.0), (8.0, 15.0), (1.0, 0.0)), 1.5, (-0.125, 0.0)),
    row("rrhf_loss", "two lists of four", (((-12.0, -30.0, -8.5, -21.0), (-40.0, -22.5, -31.0, -18.0)), ((8.0, 15.0,
        4.0, 12.0), (35.0, 10.0, 20.0, 9.0)), ((0.25, 1.0, 0.5, -0.75), (3.0, 0.0, 2.0, 1.0))),
        1.6607142857142858, ((0.25, -0.16666666666666666, -0.5, 0.16666666666666666), (-0.014285714285714285, 0.0,
        0.0, 0.0)), alpha=0.5),
    row("rrhf_loss", "at the right order", ((-8.0, -4.0, -18.0), (8.0, 8.0, 6.0), (0.5, 1.0, 0.0)),
        0.5, (0.0, -0.125, 0.0)),
    row("rrhf_loss", "800 apart", (((-100.0, -900.0), (-900.0, -100.0)), ((1.0, 1.0), (1.0, 1.0)), ((1.0, 0.0),
        (1.0, 0.0))),
        900.0, ((-1.0, 0.0), (-2.0, 1.0))),
    row("exo_list_loss", "two lists of four", (((-12.0, -30.0, -8.5, -21.0), (-40.0, -22.5, -31.0, -18.0)), ((-14.0,
        -29.0, -9.0, -20.5), (-35.0, -23.0, -33.0, -19.25)), ((1.0, 0.25, 0.5, -0.75), (0.0, 0.75, 0.5, 0.25))),
        0.21125916208822657, ((-0.09708036673358418, -0.021661557776532937, -0.01606651205992788,
        0.134808436570045), (-0.015410823690470865, -0.10624899975755632, 0.06047812306201173,
        0.061181700386015454))),
    row("pro_loss", "two lists of four", (((-12.0, -30.0, -8.5, -21.0), (-40.0, -22.5, -31.0, -18.0)), ((8.0, 15.0,
        4.0, 12.0), (35.0, 10.0, 20.0, 9.0)), ((1.0, 0.25, 0.5, -0.75), (0.0, 2.0, 1.5, 0.5))),
        6.791126303767128, ((-0.2519654367635098, -0.008447738063076924, -0.2218939988379479, 0.07157666029069347),
        (0.03665291177066893, -0.24143543254617697, -0.03877340934190927, 0.016063261735420106)), alpha=0.45),
]
# fmt: on
