# The values that tests/study/test_study_statistics.py compares with: `Rscript statistics.R > statistics.json`.
# Needs R alone; the tests need the JSON alone.
options(warn = -1)

number <- function(x) ifelse(is.nan(x) | is.na(x), "null", sprintf("%.17g", x))
row <- function(x) paste0("[", paste(number(x), collapse = ", "), "]")
entry <- function(name, ...) {
  parts <- list(...)
  written <- sapply(names(parts), function(key) {
    value <- parts[[key]]
    text <- if (is.character(value)) paste0('"', value, '"')
            else if (is.matrix(value)) paste0("[", paste(apply(value, 1, row), collapse = ", "), "]")
            else if (length(value) == 1 && !inherits(value, "AsIs")) number(value)
            else row(unclass(value))
    paste0('"', key, '": ', text)
  })
  paste0('  "', name, '": {', paste(written, collapse = ", "), "}")
}

set.seed(20240501)
reference <- round(rnorm(10, 21.5, 2.2), 3)
method <- round(reference + rnorm(10, 0.5, 0.4), 3)
skewed <- round(rexp(25, 0.2), 3)
tied <- c(1, 2, 2, 3, -1, 4, 5, -2, 6, 7, 8, -3)                    # differences of the same size
zeros <- c(0, 0, 1.5, 2.25, -0.5, 3.125, 4.75, -1.875, 5.5)        # differences of 0
tied_zeros <- c(0, 1, 1, -1, 2, 3, 3, -4, 5, 0, 6, 2)
below <- round(rnorm(49, 0.3, 1), 4)                                # the last exact size
fifty <- round(rnorm(50, 0.3, 1), 4)
many <- round(rnorm(120, 0.1, 1), 4)
snr <- round(cbind(rnorm(10, 6.7, 0.8), rnorm(10, 3.6, 0.4), rnorm(10, 5.9, 0.7), rnorm(10, 21, 5)), 3)
ranks <- rbind(c(1, 4, 3, 1), c(2, 4, 3, 1), c(1, 3, 3, 1), c(2, 3, 4, 1), c(1, 4, 2, 3), c(2, 4, 3, 1),
               c(1, 4, 3, 2), c(1, 3, 4, 1), c(2, 4, 2, 1), c(1, 4, 3, 2), c(3, 4, 2, 1), c(1, 2, 2, 2))

wilcoxon <- function(name, d) {
  w <- wilcox.test(d)
  entry(name, data = d, statistic = unname(w$statistic), p = w$p.value, method = w$method)
}
student <- function(name, ...) {
  t <- t.test(...)
  entry(name, statistic = unname(t$statistic), p = t$p.value, low = t$conf.int[1], high = t$conf.int[2],
        estimate = unname(t$estimate))
}
shapiro <- function(name, x) {
  s <- shapiro.test(x)
  entry(name, data = x, statistic = unname(s$statistic), p = s$p.value)
}
pearson <- function(name, x, y) {
  r <- cor.test(x, y)
  entry(name, statistic = unname(r$statistic), r = unname(r$estimate), p = r$p.value, low = r$conf.int[1],
        high = r$conf.int[2])
}
friedman <- function(name, x) {
  f <- friedman.test(x)
  entry(name, data = x, statistic = unname(f$statistic), p = f$p.value)
}
pairs_of <- function(p) {
  found <- c()
  for (first in 1:3) for (second in (first + 1):4) found <- c(found, p[second - 1, first])
  found
}
pairwise <- function(name, x, test) {
  values <- as.vector(x)
  group <- factor(rep(1:ncol(x), each = nrow(x)))
  entry(name, p = pairs_of(test(values, group, p.adjust.method = "bonferroni", paired = TRUE)$p.value))
}
# Bland and Altman 1999, sections 2 and 2.1, in R's own words.
d <- method - reference
se <- sd(d) * sqrt(1 / 10 + qnorm(0.975)^2 / (2 * 9))
limits <- mean(d) + c(-1, 1) * qnorm(0.975) * sd(d)

lines <- c(
  entry("data", reference = reference, method = method, snr = snr, ranks = ranks),
  wilcoxon("wilcoxon_exact", d),
  wilcoxon("wilcoxon_ties", tied),
  wilcoxon("wilcoxon_zeros", zeros),
  wilcoxon("wilcoxon_ties_zeros", tied_zeros),
  wilcoxon("wilcoxon_49", below),
  wilcoxon("wilcoxon_50", fifty),
  wilcoxon("wilcoxon_120", many),
  wilcoxon("wilcoxon_all_up", 1:10 + 0.5),
  wilcoxon("wilcoxon_one_down", c(-0.5, 2:10)),
  wilcoxon("wilcoxon_two_down", c(1, -2, 3:10)),
  student("one_sample_t", d),
  student("paired_t", method, reference, paired = TRUE),
  shapiro("shapiro_normal", reference),
  shapiro("shapiro_skewed", skewed),
  shapiro("shapiro_three", c(1, 2, 4)),
  shapiro("shapiro_many", many),
  pearson("pearson", method, reference),
  friedman("friedman", snr),
  friedman("friedman_ties", ranks),
  pairwise("pairwise_wilcoxon", snr, pairwise.wilcox.test),
  pairwise("pairwise_wilcoxon_ties", ranks, pairwise.wilcox.test),
  pairwise("pairwise_t", ranks, pairwise.t.test),
  entry("bland_altman", bias = mean(d), sd = sd(d), limits = limits, bias_interval = as.vector(t.test(d)$conf.int),
        lower_interval = limits[1] + c(-1, 1) * qt(0.975, 9) * se, upper_interval = limits[2] + c(-1, 1) * qt(0.975, 9) * se),
  entry("r", version = R.version.string)
)
cat("{\n", paste(lines, collapse = ",\n"), "\n}\n", sep = "")
