package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

// errDone ends a worker that has nothing left to do.
var errDone = errors.New("done")

// defaultRounds is how many rounds are measured, after one to warm up.
const defaultRounds = 3

// Report is what a scenario showed. Rates are operations a second. The fields
// that begin with Raw are those of what it is compared with.
type Report struct {
	Name     string  `json:"name"`
	What     string  `json:"what"`
	Ratio    float64 `json:"ratio"` // of the rates, or of the times where Latency
	RatioP50 float64 `json:"p50_ratio,omitempty"`
	RatioP99 float64 `json:"p99_ratio,omitempty"`
	Latency  bool    `json:"latency,omitempty"`
	Annals   float64 `json:"per_s"`
	Raw      float64 `json:"raw_per_s"`
	P50      float64 `json:"p50_ms,omitempty"`
	P99      float64 `json:"p99_ms,omitempty"`
	RawP50   float64 `json:"raw_p50_ms,omitempty"`
	RawP99   float64 `json:"raw_p99_ms,omitempty"`
	Each     float64 `json:"ns,omitempty"` // of one operation, in nanoseconds
	RawEach  float64 `json:"raw_ns,omitempty"`
	RatioLow float64 `json:"ratio_low"`  // of one round
	RatioTop float64 `json:"ratio_high"` // of one round
}

// run measures a scenario: a round to warm up, then rounds in turns.
func (s scenario) run(ctx context.Context, measure time.Duration) (Report, error) {
	if s.atMost > 0 {
		measure = min(measure, s.atMost)
	}
	l, err := newLab(ctx, s, measure)
	if err != nil {
		return Report{}, fmt.Errorf("bench %s: %w", s.name, err)
	}
	defer l.close()
	p, err := s.prepare(ctx, l)
	if err != nil {
		return Report{}, fmt.Errorf("bench %s: prepare: %w", s.name, err)
	}
	var annals, raw []sample
	for range cmp.Or(s.rounds, defaultRounds) + 1 {
		a, err := p.annals(ctx)
		if err != nil {
			return Report{}, fmt.Errorf("bench %s: %w", s.name, err)
		}
		r, err := p.raw(ctx)
		if err != nil {
			return Report{}, fmt.Errorf("bench %s: raw: %w", s.name, err)
		}
		annals, raw = append(annals, a), append(raw, r)
	}
	return s.report(annals[1:], raw[1:]), nil
}

func (s scenario) figure(x sample) float64 {
	if s.latency {
		return x.p50.Seconds()
	}
	return x.perSecond
}

func (s scenario) report(annals, raw []sample) Report {
	a, r := median(annals, s.figure), median(raw, s.figure)
	p50, p99 := middle(annals, raw, func(x sample) time.Duration { return x.p50 }), middle(annals, raw, func(x sample) time.Duration { return x.p99 })
	var ratios []float64
	for i := range annals {
		ratios = append(ratios, round(s.figure(annals[i])/s.figure(raw[i])))
	}
	return Report{
		Name: s.name, What: s.what, Latency: s.latency,
		Ratio: round(s.figure(a) / s.figure(r)), RatioLow: slices.Min(ratios), RatioTop: slices.Max(ratios),
		RatioP50: p50, RatioP99: p99,
		Annals: math.Round(a.perSecond), Raw: math.Round(r.perSecond),
		P50: milliseconds(a.p50), P99: milliseconds(a.p99), RawP50: milliseconds(r.p50), RawP99: milliseconds(r.p99),
		Each: round(a.each), RawEach: round(r.each),
	}
}

// middle returns the median of the rounds' ratios of a time; 0 if that was not measured.
func middle(annals, raw []sample, of func(sample) time.Duration) float64 {
	var ratios []float64
	for i := range annals {
		if of(raw[i]) == 0 {
			return 0
		}
		ratios = append(ratios, round(of(annals[i]).Seconds()/of(raw[i]).Seconds()))
	}
	slices.Sort(ratios)
	return ratios[len(ratios)/2]
}

func round(x float64) float64 { return math.Round(x*1000) / 1000 }

func milliseconds(d time.Duration) float64 { return round(d.Seconds() * 1000) }
