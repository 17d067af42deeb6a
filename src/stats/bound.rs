//! Bounds on a rate from counts.

/// The one-sided upper bound of a rate at `confidence` after `hits` in `trials`: Clopper and Pearson,
/// Biometrika 26 (1934) 404–413; the root of P(X ≤ hits | rate) = 1 − confidence, by bisection on the
/// binomial tail. 1 without trials.
pub fn clopper_pearson_upper(hits: u64, trials: u64, confidence: f64) -> f64 {
    if trials == 0 || hits >= trials {
        return 1.0;
    }
    let alpha = 1.0 - confidence;
    if hits == 0 {
        return 1.0 - alpha.powf(1.0 / trials as f64);
    }
    let (mut low, mut high) = (hits as f64 / trials as f64, 1.0);
    for _ in 0..100 {
        let middle = (low + high) / 2.0;
        if binomial_at_most(hits, trials, middle) > alpha { low = middle } else { high = middle }
    }
    high
}

/// The fewest trials without a hit after which `clopper_pearson_upper` is at most `rate`: the least n with
/// (1 − rate)ⁿ ≤ 1 − confidence. `rate` and `confidence` lie between 0 and 1, both excluded.
pub fn clean_trials(rate: f64, confidence: f64) -> u64 {
    let estimate = ((1.0 - confidence).ln() / (-rate).ln_1p()).ceil() as u64;
    // The logarithms round; the bound itself decides the last step.
    let enough = |n: u64| clopper_pearson_upper(0, n, confidence) <= rate;
    let mut n = estimate.saturating_sub(1).max(1);
    while !enough(n) && n <= estimate {
        n += 1;
    }
    n
}

/// Of the error allowed to `anytime_upper`, the part that is spent on runs without any hit; the rest keeps the
/// bound valid after one.
const CLEAN_SHARE: f64 = 0.9;

/// The one-sided upper bound of a rate at `confidence` after `hits` in `trials` that holds at every number of
/// trials at once: whoever looks after each trial, and stops when they like what they see, is wrong with at
/// most 1 − `confidence`. 1 without trials.
///
/// Under the rate p the mixture M(p) = w·L(0)/L(p) + (1 − w)·∫₀¹ L(q) dq / L(p) of likelihood ratios is a
/// nonnegative martingale that begins at 1, so P(it ever reaches 1/α) ≤ α (Ville, Étude critique de la notion de
/// collectif, 1939); the bound is the root of M(p) = 1/α above hits/trials. Mixtures as confidence sequences:
/// Robbins, Ann. Math. Stat. 41 (1970) 1397–1409; Lai, Ann. Stat. 4 (1976) 265–280, with the integral for
/// trials of this kind, 1 / ((n + 1)·C(n, k)); Howard, Ramdas, McAuliffe and Sekhon, Ann. Stat. 49 (2021)
/// 1055–1080. The point at 0 is for streams that ought to have no hit at all.
pub fn anytime_upper(hits: u64, trials: u64, confidence: f64) -> f64 {
    if trials == 0 || hits >= trials {
        return 1.0;
    }
    let alpha = 1.0 - confidence;
    let n = trials as f64;
    if hits == 0 {
        let weight = CLEAN_SHARE + (1.0 - CLEAN_SHARE) / (n + 1.0);
        return -((alpha * weight).ln() / n).exp_m1();
    }
    let (mut low, mut high) = (hits as f64 / n, 1.0);
    for _ in 0..100 {
        let middle = (low + high) / 2.0;
        if ln_mixture(hits, trials, middle) < -alpha.ln() { low = middle } else { high = middle }
    }
    high
}

/// ln M(p) of `anytime_upper`; grows with p above hits/trials.
fn ln_mixture(hits: u64, trials: u64, rate: f64) -> f64 {
    let (k, n) = (hits as f64, trials as f64);
    let chosen = ln_gamma(n + 1.0) - ln_gamma(k + 1.0) - ln_gamma(n - k + 1.0);
    let spread =
        (1.0 - CLEAN_SHARE).ln() - (n + 1.0).ln() - chosen - k * rate.ln() - (n - k) * (-rate).ln_1p();
    if hits > 0 {
        return spread;
    }
    let clean = CLEAN_SHARE.ln() - n * (-rate).ln_1p();
    clean + (spread - clean).exp().ln_1p()
}

/// The fewest trials without a hit after which `anytime_upper` is at most `rate`.
pub fn anytime_clean_trials(rate: f64, confidence: f64) -> u64 {
    // It is never tighter than the bound of one look, and a little wider than the point at 0 alone.
    let mut n = clean_trials(rate, confidence);
    while anytime_upper(0, n, confidence) > rate {
        n += 1;
    }
    n
}

/// P(X ≤ k) for X ~ Binomial(n, p), as 1 − I_p(k + 1, n − k): the regularised incomplete beta function.
fn binomial_at_most(k: u64, n: u64, p: f64) -> f64 {
    1.0 - incomplete_beta(k as f64 + 1.0, (n - k) as f64, p)
}

/// I_x(a, b) by the continued fraction of Lentz; DLMF 8.17.22.
fn incomplete_beta(a: f64, b: f64, x: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - incomplete_beta(b, a, 1.0 - x);
    }
    let front = (ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) + a * x.ln() + b * (1.0 - x).ln()).exp() / a;
    let tiny = 1e-300;
    let (mut f, mut c, mut d) = (1.0, 1.0, 0.0);
    for i in 0..=10_000_u32 {
        let m = f64::from(i / 2);
        let numerator = match i {
            0 => 1.0,
            _ if i % 2 == 0 => m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m)),
            _ => -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0)),
        };
        d = 1.0 + numerator * d;
        d = 1.0 / if d.abs() < tiny { tiny } else { d };
        c = 1.0 + numerator / c;
        c = if c.abs() < tiny { tiny } else { c };
        f *= c * d;
        if (1.0 - c * d).abs() < 1e-14 {
            break;
        }
    }
    front * (f - 1.0)
}

/// ln Γ(x) for x > 0 by Lanczos's approximation (g = 7, n = 9; Godfrey's coefficients), error below 1e-13.
fn ln_gamma(x: f64) -> f64 {
    const C: [f64; 9] = [
        0.999_999_999_999_809_9,
        676.520_368_121_885_1,
        -1_259.139_216_722_402_8,
        771.323_428_777_653_1,
        -176.615_029_162_140_6,
        12.507_343_278_686_905,
        -0.138_571_095_265_720_12,
        9.984_369_578_019_572e-6,
        1.505_632_735_149_311_6e-7,
    ];
    let x = x - 1.0;
    let t = x + 7.5;
    let sum = C[1..].iter().enumerate().fold(C[0], |sum, (i, c)| sum + c / (x + i as f64 + 1.0));
    0.5 * (2.0 * std::f64::consts::PI).ln() + (x + 0.5) * t.ln() - t + sum.ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_bounds() {
        // The rule of three's exact form, and tables of the binomial.
        let close = |a: f64, b: f64| (a - b).abs() < 1e-6;
        assert!(
            close(clopper_pearson_upper(0, 2995, 0.95), 0.000_999_748),
            "{}",
            clopper_pearson_upper(0, 2995, 0.95)
        );
        assert!(
            close(clopper_pearson_upper(1, 10, 0.95), 0.394_163_3),
            "{}",
            clopper_pearson_upper(1, 10, 0.95)
        );
        assert!(
            close(clopper_pearson_upper(5, 10, 0.95), 0.777_558_8),
            "{}",
            clopper_pearson_upper(5, 10, 0.95)
        );
        assert_eq!(clopper_pearson_upper(0, 0, 0.95), 1.0);
        assert_eq!(clopper_pearson_upper(3, 3, 0.95), 1.0);
    }

    #[test]
    fn a_bound_for_all_looks_is_wider_but_not_by_much() {
        let close = |a: f64, b: f64| (a - b).abs() < 1e-9;
        // By hand: 1 − (0.05·(0.9 + 0.1/11))^(1/10).
        assert!(close(anytime_upper(0, 10, 0.95), 1.0 - (0.05 * (0.9 + 0.1 / 11.0_f64)).powf(0.1)));
        assert_eq!(anytime_upper(0, 0, 0.95), 1.0);
        assert_eq!(anytime_upper(3, 3, 0.95), 1.0);
        for (hits, trials) in [(0, 1), (0, 3_000), (1, 10), (1, 5_000), (7, 400), (90, 100), (3, 1_000_000)] {
            let (one, all) = (clopper_pearson_upper(hits, trials, 0.95), anytime_upper(hits, trials, 0.95));
            assert!(one < all && all < 1.0, "{hits} of {trials}: {one} {all}");
            // The root itself: just below it the mixture has not reached 1/α, just above it has.
            assert!(ln_mixture(hits, trials, all * (1.0 - 1e-9)) < 20_f64.ln() + 1e-6);
            assert!(ln_mixture(hits, trials, all * (1.0 + 1e-9)) > 20_f64.ln() - 1e-6);
        }
        for (rate, trials) in [(0.1, 30), (0.01, 309), (0.001, 3_100), (0.0001, 31_010)] {
            assert_eq!(anytime_clean_trials(rate, 0.95), trials, "{rate}");
            assert!(anytime_upper(0, trials, 0.95) <= rate && anytime_upper(0, trials - 1, 0.95) > rate);
        }
    }

    /// Runs that look after each trial: how many ever claim a bound below the true rate, by each bound.
    fn ever_wrong(rate: f64, trials: u64, runs: u64) -> (u64, u64) {
        let threshold = 20_f64.ln();
        let (mut anytime, mut naive) = (0, 0);
        for run in 0..runs {
            // SplitMix64, seeded by the run.
            let mut state = run.wrapping_mul(0xd134_2543_de82_ef95) ^ rate.to_bits();
            let mut draw = || {
                state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
                let mut z = state;
                z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
                ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
            };
            let (mut hits, mut wrong, mut naively) = (0, false, false);
            for n in 1..=trials {
                hits += u64::from(draw() < rate);
                let below = (hits as f64) < rate * n as f64;
                wrong |= below && ln_mixture(hits, n, rate) >= threshold;
                naively |= below && binomial_at_most(hits, n, rate) <= 0.05;
            }
            anytime += u64::from(wrong);
            naive += u64::from(naively);
        }
        (anytime, naive)
    }

    #[test]
    fn whoever_looks_all_the_time_is_wrong_as_rarely_as_is_said() {
        for (rate, trials) in [(0.3, 200), (0.05, 400), (0.01, 600)] {
            let (anytime, naive) = ever_wrong(rate, trials, 1_000);
            assert!(anytime <= 50, "{rate}: wrong in {anytime} of 1,000 runs");
            // The bound of one look is no bound for all of them: this is what the other one is for.
            assert!(naive > 70, "{rate}: {naive} of 1,000 runs");
        }
    }

    #[test]
    fn the_fewest_clean_trials_of_a_claim() {
        for (rate, trials) in [(0.5, 5), (0.1, 29), (0.01, 299), (0.001, 2_995), (0.0001, 29_956)] {
            assert_eq!(clean_trials(rate, 0.95), trials, "{rate}");
            assert!(clopper_pearson_upper(0, trials, 0.95) <= rate);
            assert!(clopper_pearson_upper(0, trials - 1, 0.95) > rate);
        }
        assert_eq!(clean_trials(0.97, 0.95), 1);
    }
}
