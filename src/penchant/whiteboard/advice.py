"""When to use a method, and what goes wrong with it, in a sentence or two each: for those without a page of prose."""

from __future__ import annotations

ADVICE: dict[str, tuple[str, str]] = {
    "cdpo": (
        "Pairs of which a share is labelled wrongly, known or guessed. Its optimum is finite, so it does not run away.",
        "It shrinks the margin on right labels too; it does not undo the flips. A share near 1/2 teaches nothing",
    ),
    "dr_dpo": (
        "Pairs with wrong labels whose share is unknown.",
        "Hard but rightly labelled pairs count for less as well; the weights are those of one batch, so small batches do little",
    ),
    "robust_dpo": (
        "Flipped labels whose share was measured, for instance by labelling some pairs twice.",
        "Without a lower bound: on clean or separable pairs the loss falls for ever. Watch margins, or use cdpo",
    ),
    "soft_dpo": (
        "Pairs with a probability each, from several annotators or a reward model.",
        "Probabilities below 1/2 mean that the pair is the wrong way round; overconfident probabilities make it plain DPO",
    ),
    "geometric_dpo": (
        "Soft labels where pairs near a toss-up should not pull at all.",
        "Its weight and its margin shrink together, so much of such data learns slowly",
    ),
    "focal_dpo": (
        "Training sets with many pairs that the model will never order rightly.",
        "Far on the wrong side the slope turns round and pushes the pair further away",
    ),
    "odpo": (
        "Pairs with ratings whose gaps mean something.",
        "Equal ratings give an infinite offset, reversed ones none that is defined; rescaling the ratings rescales the margins",
    ),
    "modpo": (
        "Several objectives: the margin is what the others say about the pair.",
        "Margins on another scale than the rewards drown the comparison",
    ),
    "rebel": (
        "Ratings that are trusted as numbers, not only as an order.",
        "A few large rating gaps dominate a squared loss; put the ratings on one scale first",
    ),
    "reward_distillation": (
        "As rebel, by those who think in DPO's beta.",
        "The same: outliers among the ratings dominate",
    ),
    "reward_aware": (
        "Ratings from a reward model, where a small gap should stay small.",
        "An eta that does not fit the ratings' scale makes all gaps look sure, or none",
    ),
    "rao_kupper": (
        "Data in which annotators may say that two answers are equally good.",
        "Ties must be marked; a pair split at random in place of a tie is noise",
    ),
    "davidson": (
        "As rao_kupper, with ties as an outcome of their own weight.",
        "Too large a weight for the share of ties in the data drives margins far from 0, where only they make wins likely; towards 0 a tie counts as half a win",
    ),
    "r_dpo": (
        "Chosen answers that are longer for no good reason; `penchant lint` prints how often.",
        "Too large an alpha teaches short answers; it is per token, so the right one depends on how long a data set's answers are",
    ),
    "ln_dpo": (
        "DPO for answers of very different lengths.",
        "beta is per token: DPO's 0.1 trains next to nothing. Length can still be learned through where answers end",
    ),
    "ld_dpo": (
        "Long chosen answers whose tail says little.",
        "An alpha of 0 does not train on anything beyond the shorter answer's length",
    ),
    "sampo": (
        "Pairs of unequal length, without a constant to choose.",
        "Tokens are drawn anew every time, so the loss is noisy; compare runs over several seeds",
    ),
    "dpo_shift": (
        "Chosen answers that become less likely under DPO.",
        "A small weight stops the rejected answer from falling; then it is fine-tuning with a threshold",
    ),
    "dpop": (
        "Pairs that differ in a few tokens, where DPO lowers both.",
        "The paper's lambda of 50 makes the penalty the whole loss as soon as a chosen answer falls",
    ),
    "minor_dpo": (
        "Rejected answers that are bad enough once they are back at the reference.",
        "The loss cannot tell a rejected answer just below the reference from one far below",
    ),
    "dpo_nll": (
        "Reasoning and other data where the chosen answer itself should be written.",
        "Fine-tuning on chosen answers of poor style teaches the style",
    ),
    "cpo": (
        "No memory for a reference, and chosen answers worth imitating.",
        "Sums over tokens without a reference favour whatever is short; nothing limits the move away from the start",
    ),
    "cpo_simpo": (
        "SimPO, where chosen answers become less likely.",
        "As SimPO's; the weight of fine-tuning sets which of the two one trains",
    ),
    "alphapo": (
        "SimPO that moves too far or too little: alpha bends the reward.",
        "alpha = 0 is SimPO; with a large alpha one improbable answer has all of the step's gradient",
    ),
    "alpha_dpo": (
        "SimPO with a margin that follows the reference, pair by pair.",
        "The running mean and spread need some steps to settle; the first ones are SimPO's with noise",
    ),
    "simper": (
        "A first run without constants to choose.",
        "Bounded, and its slope is the answer's probability per token: improbable answers learn slowly",
    ),
    "asft": (
        "As orpo, with each answer on its own.",
        "An answer whose probability per token nears 1 has an infinite rejected term",
    ),
    "repo": (
        "SimPO with one constant: a pair pulls fully or not at all.",
        "No pull is left once all pairs are beyond the margin; pairs that never reach it pull for ever",
    ),
    "slic": (
        "Sequence calibration without a reference.",
        "Summed log-probs: the margin is in nats of the whole answer, so long answers dominate",
    ),
    "tpo": (
        "Three answers: a gold one to imitate and a pair to compare.",
        "Where gold and chosen are the same answer, it is CPO",
    ),
    "tpo_l": (
        "As tpo, per token and with a margin.",
        "As SimPO's: beta and gamma are per token",
    ),
    "hinge": (
        "Pairs that should stop pulling once they are ordered by a margin.",
        "The slope does not fade before the margin: wrongly labelled pairs pull with full weight for ever",
    ),
    "rso": (
        "As hinge, on answers sampled by rejection from the optimal policy.",
        "The loss alone is not the method: the sampling is its other half",
    ),
    "squared_hinge": (
        "A target margin like IPO's, without the pull back beyond it.",
        "The slope grows with the error, so outliers and wrong labels dominate",
    ),
    "savage": (
        "Many wrong labels: hopeless pairs are given up.",
        "So are hard pairs that are right; a pair that starts far on the wrong side never recovers",
    ),
    "exponential": (
        "A comparison with the theory; clean labels only.",
        "Badly ranked pairs pull exponentially hard: one wrong label can decide a step",
    ),
    "discopop": (
        "Trying what a search over losses found.",
        "Not monotone: near 0 it has a dip in which a pair may stay",
    ),
    "exo": (
        "A policy that should settle on one good kind of answer, not cover all.",
        "Not convex: pairs far on the wrong side hardly pull. epsilon must be above 0",
    ),
    "f_dpo": (
        "More or fewer kinds of answers than DPO keeps: alpha goes from the reverse to the forward KL.",
        "Towards alpha = 1 improbable answers give exponentially large rewards",
    ),
    "fkl_dpo": (
        "A policy that keeps the reference's variety.",
        "Rewards grow as e^-a: one long answer far below the reference has all of the step's gradient",
    ),
    "js_dpo": (
        "A middle between both KLs, with bounded rewards for good answers.",
        "Once an answer is well above the reference it is not raised further",
    ),
    "chi_po": (
        "Little data, or a reference that hardly covers the chosen answers: it moves with caution.",
        "Log-ratios above the clip give no slope; e^r overflows where the clip is too high",
    ),
    "apo_zero": (
        "Chosen answers better than what the model writes now.",
        "Bounded: answers far from the reference stop moving. If chosen answers are worse than the model's, use apo_down",
    ),
    "apo_down": (
        "Pairs in which both answers are worse than what the model writes.",
        "Both are pushed down; nothing says what to write in their place",
    ),
    "nca": (
        "Chosen answers whose likelihood should rise, not only their lead.",
        "Its pull on the chosen answer ends at a reward of log 2; beta is smaller than DPO's",
    ),
    "sppo": (
        "Iterated training on the policy's own answers, with win rates near 0 and 1.",
        "At the paper's beta the targets are 500 nats away: the loss is in the hundred thousands, and only its slope means something",
    ),
    "bco": (
        "Good and bad answers of unlike kinds, as a classifier learns them.",
        "The running mean starts at 0 and lags behind; resuming must bring it back, which penchant's checkpoints do",
    ),
    "cal_dpo": (
        "DPO whose rewards should stay on a scale of their own.",
        "Two squares beside a logistic term: at a small beta the squares are all there is",
    ),
    "npo": (
        "Forgetting answers: unlearning that slows down as it succeeds.",
        "Nothing holds up what should be kept; watch the KL and other data",
    ),
    "simnpo": (
        "As npo, without a reference and per token.",
        "Short answers are forgotten as fast as long ones, per token; gamma shifts when it stops",
    ),
    "mpo": (
        "A balanced recipe for data where answers should be compared, judged and written.",
        "Three weights decide; the fine-tuning term is the largest by far at the start",
    ),
    "dro": (
        "One rated answer per prompt, no pairs.",
        "The paper learns V(x) beside the policy; `penchant train` takes it from the data as prompt_value, and a poor one is noise in every gradient",
    ),
    "beta_dpo": (
        "Data whose batches differ in how far apart their answers are.",
        "beta depends on the batch, so small batches make it jump",
    ),
    "aot": (
        "Answers compared as two distributions rather than pair by pair.",
        "Batches are sorted, so a batch of one is DPO and small ones are nearly so",
    ),
    "aot_unpaired": (
        "Good and bad answers without pairs between them, as distributions.",
        "The result depends on the batch's size",
    ),
    "tdpo": (
        "DPO whose rejected answers drift far from the reference.",
        "Needs the whole vocabulary's probabilities at each token: slower, and no stored reference serves it",
    ),
    "tdpo1": (
        "As tdpo, with the gradient through both answers' divergences.",
        "The chosen answer's divergence is rewarded too; its authors prefer TDPO2",
    ),
    "tis_dpo": (
        "Answers of which a few tokens decide.",
        "The weights come from two more models; poor weights are worse than none",
    ),
    "wpo": (
        "Pairs that other models wrote: those that this policy would write count for more.",
        "If hardly any pair is likely under the policy, hardly anything is learned",
    ),
    "mallowspo": (
        "Prompts some of which have one right answer and some many.",
        "The scale of its dispersion depends on data and model, and with it beta",
    ),
    "plackett_luce": (
        "Rankings of several answers per prompt.",
        "The order of the tail counts as much as that of the head; noisy tails are noise",
    ),
    "info_nca": (
        "Several rated answers per prompt.",
        "The temperature sets how sharp the ratings are: at 1e-4, its authors', only the best answer counts",
    ),
    "nca_list": (
        "As info_nca, where good answers should also become likelier in absolute terms.",
        "Answers whose share of the softmax is below 1/K are pushed down, good as they may be: at 1e-4 all but the best",
    ),
    "exo_list": (
        "Rated answers, when the policy should settle on the best.",
        "Mode seeking: other good answers are given up",
    ),
    "lipo": (
        "Rated lists of which the top matters most.",
        "Weights change with the order that the policy has now, so the loss is not comparable between steps",
    ),
    "pro": (
        "Rated lists without a reference.",
        "Temperatures are one over rating gaps: equal ratings do not compare at all",
    ),
    "rrhf": (
        "Rated lists, as simple as can be.",
        "No margin: a pair in order no longer pulls, whether by much or by little",
    ),
    "d2o": (
        "One answer known to be bad, and the model's own answers.",
        "Nothing names a good answer; the model moves away, not towards",
    ),
}
"""Method -> when to use it, and what goes wrong."""
