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
    fn the_fewest_clean_trials_of_a_claim() {
        for (rate, trials) in [(0.5, 5), (0.1, 29), (0.01, 299), (0.001, 2_995), (0.0001, 29_956)] {
            assert_eq!(clean_trials(rate, 0.95), trials, "{rate}");
            assert!(clopper_pearson_upper(0, trials, 0.95) <= rate);
            assert!(clopper_pearson_upper(0, trials - 1, 0.95) > rate);
        }
        assert_eq!(clean_trials(0.97, 0.95), 1);
    }
}
