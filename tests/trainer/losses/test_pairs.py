"""Losses on pairs against a reference: hand-worked figures, limits, slopes, refusals."""

import math

import pytest
import torch

from trainer.losses import pairs

# beta 0.5, u = 2, v = -1, so h = 3 and beta h = 1.5. sigmoid(1.5) = 0.8175745, -lsig(1.5) = 0.2014133,
# -lsig(-1.5) = 1.7014133; beta u = 1: sigmoid 0.7310586, -lsig(1) = 0.3132617, -lsig(-1) = 1.3132617;
# beta v = -0.5: sigmoid 0.3775407, -lsig(0.5) = 0.4740770
BETA = 0.5
U, V = torch.tensor([2.0]), torch.tensor([-1.0])
H = U - V


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        (pairs.sigmoid_loss(H, beta=BETA), 0.2014133),
        (pairs.sigmoid_loss(H, beta=BETA, label_smoothing=0.2), 0.5014133),  # 0.8 * 0.2014133 + 0.2 * 1.7014133
        (pairs.robust_loss(H, beta=BETA, label_smoothing=0.2), -0.2985867),  # (0.1611306 - 0.3402827) / 0.6
        (pairs.hinge_loss(H, beta=BETA), 0.0),
        (pairs.hinge_loss(torch.tensor([1.0]), beta=BETA), 0.5),
        (pairs.ipo_loss(H, beta=BETA), 4.0),  # (3 - 1)^2
        (pairs.exo_pair_loss(H, beta=BETA, label_smoothing=0.1), 0.0311388),  # 0.8175745 * -0.0960528 + 0.1096691
        (pairs.discopop_loss(H, beta=BETA, tau=1.0), 0.2191684),  # 0.1824255 * 0.2014133 + 0.1824255
        (pairs.bco_pair_loss(U, V, beta=BETA), 0.7873387),
        (pairs.nca_pair_loss(U, V, beta=BETA), 1.2069310),  # 0.3132617 + 1.3132617 / 2 + 0.4740770 / 2
        (pairs.sppo_hard_loss(U, V, beta=BETA), 1.0),  # (2 - 1)^2 + (-1 + 1)^2
        (pairs.apo_zero_loss(U, V, beta=BETA), 0.6464821),
        (pairs.apo_down_loss(U, V, beta=BETA), 0.9134841),
    ],
)
def test_a_pair_worked_by_hand(losses, expected):
    assert losses.tolist() == pytest.approx([expected], abs=1e-6)


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        (lambda zero: pairs.sigmoid_loss(zero, beta=0.1), math.log(2)),
        (lambda zero: pairs.sigmoid_loss(zero, beta=0.1, label_smoothing=0.3), math.log(2)),
        (lambda zero: pairs.robust_loss(zero, beta=0.1, label_smoothing=0.3), math.log(2)),
        (lambda zero: pairs.hinge_loss(zero, beta=0.1), 1.0),
        (lambda zero: pairs.ipo_loss(zero, beta=0.1), 25.0),
        (lambda zero: pairs.discopop_loss(zero, beta=0.1), 0.5 * math.log(2) + 0.5),
        (lambda zero: pairs.bco_pair_loss(zero, zero, beta=0.1), 2 * math.log(2)),
        (lambda zero: pairs.nca_pair_loss(zero, zero, beta=0.1), 2 * math.log(2)),
        (lambda zero: pairs.sppo_hard_loss(zero, zero, beta=0.1), 50.0),
        (lambda zero: pairs.apo_zero_loss(zero, zero, beta=0.1), 1.0),
        (lambda zero: pairs.apo_down_loss(zero, zero, beta=0.1), 1.0),
        (lambda zero: pairs.aot_unpaired_loss(zero, zero, beta=0.1), math.log(2)),
    ],
)
def test_the_loss_where_the_policy_is_the_reference(losses, expected):
    assert losses(torch.zeros(3)).tolist() == pytest.approx([expected] * 3, rel=1e-6)


def test_aot_compares_quantiles_and_not_pairs():
    # policy margins 3 and 1, the reference's 0 and 2: sorted they differ by 1 and 1, as pairs by 3 and -1
    zero = torch.zeros(2)
    losses = pairs.aot_loss(torch.tensor([3.0, 1.0]), zero, torch.tensor([0.0, 2.0]), zero, beta=0.5)
    assert losses.tolist() == pytest.approx([0.4740770] * 2, abs=1e-6)


def test_ipo_is_least_where_the_log_ratios_differ_by_its_target_and_rises_on_both_sides():
    margins = torch.tensor([4.0, 5.0, 6.0])
    assert pairs.ipo_loss(margins, beta=0.1).tolist() == pytest.approx([1.0, 0.0, 1.0])


def test_exo_is_0_where_the_policy_already_has_the_smoothed_labels():
    e = 0.1
    margin = torch.tensor([math.log((1 - e) / e)], dtype=torch.float64)
    assert pairs.exo_pair_loss(margin, beta=1.0, label_smoothing=e).item() == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("margin", [-1e4, -200.0, 200.0, 1e4])
def test_discopop_stays_finite_far_from_0(margin):
    margins = torch.tensor([margin], requires_grad=True)
    loss = pairs.discopop_loss(margins, beta=1.0)
    loss.sum().backward()
    assert loss.isfinite().all() and margins.grad.isfinite().all()


def test_robust_is_unbiased_under_flipped_labels():
    # with a share e of labels flipped, its mean over clean and flipped pairs is the clean DPO loss
    e, clean = 0.2, pairs.sigmoid_loss(H, beta=BETA)
    mean = (1 - e) * pairs.robust_loss(H, beta=BETA, label_smoothing=e)
    mean = mean + e * pairs.robust_loss(-H, beta=BETA, label_smoothing=e)
    assert mean.item() == pytest.approx(clean.item(), abs=1e-6)


def test_apo_down_lowers_the_chosen_too_and_apo_zero_raises_it():
    slopes = {}
    for name, loss in {"down": pairs.apo_down_loss, "zero": pairs.apo_zero_loss}.items():
        u = torch.tensor([-0.1], requires_grad=True)
        loss(u, torch.tensor([-8.0]), beta=1.0).sum().backward()
        slopes[name] = u.grad.item()
    assert slopes["down"] > 0 > slopes["zero"]


@pytest.mark.parametrize("share", [-0.1, 0.5, 1.0])
def test_a_label_smoothing_that_is_no_share_of_wrong_labels_is_refused(share):
    with pytest.raises(ValueError, match=r"\[0, 0.5\)"):
        pairs.robust_loss(H, beta=BETA, label_smoothing=share)


def test_exo_without_smoothing_is_refused():
    with pytest.raises(ValueError, match=r"0\.001 is the paper's"):
        pairs.exo_pair_loss(H, beta=BETA, label_smoothing=0.0)
