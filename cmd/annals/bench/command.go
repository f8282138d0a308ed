package bench

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/annals-go/annals/cmd/node"
	"github.com/annals-go/annals/store"
)

// Command is "bench [NAME…]": it measures the named scenarios, all of them
// without a name.
func Command(session *node.Session) *cobra.Command {
	var measure time.Duration
	c := &cobra.Command{
		Use:   "bench [NAME…]",
		Short: "Measure this build beside raw JetStream",
		Long: "Measures on embedded servers of its own, in turns with what it is compared with, such as the raw operation, " +
			"and prints the ratio.\n\n" + listing(),
		Example: "{{name}} bench\n{{name}} bench execute_256_r1 --json",
		RunE: func(cmd *cobra.Command, names []string) error {
			chosen, err := choose(names)
			if err != nil {
				return err
			}
			return measureAll(cmd.Context(), session, chosen, measure)
		},
	}
	c.Flags().DurationVar(&measure, "measure", 2*time.Second, "how long one measurement takes at most")
	return c
}

func listing() string {
	var text strings.Builder
	for _, s := range scenarios {
		fmt.Fprintf(&text, "  %-26s %s\n", s.name, s.what)
	}
	return text.String()
}

func choose(names []string) ([]scenario, error) {
	if len(names) == 0 {
		return scenarios, nil
	}
	var chosen []scenario
	for _, name := range names {
		i := slices.IndexFunc(scenarios, func(s scenario) bool { return s.name == name })
		if i < 0 {
			return nil, &store.InvalidError{What: "benchmark", Value: name, Reason: "see bench --help for the names"}
		}
		chosen = append(chosen, scenarios[i])
	}
	return chosen, nil
}

func measureAll(ctx context.Context, session *node.Session, chosen []scenario, measure time.Duration) error {
	var reports []Report
	for _, s := range chosen {
		if session.Interactive() {
			fmt.Fprintf(session.Err(), "%s: %s\n", s.name, s.what)
		}
		r, err := s.run(ctx, measure)
		if err != nil {
			return err
		}
		if session.JSON() {
			if err := session.Print(r); err != nil {
				return err
			}
		}
		reports = append(reports, r)
	}
	if !session.JSON() {
		_, err := fmt.Fprintln(session.Out(), asTable(reports))
		return err
	}
	if len(reports) == 1 {
		return nil
	}
	fmt.Fprintln(session.Err(), asTable(reports))
	return session.Print(summarize(reports))
}

// summary is the last line of several benchmarks.
type summary struct {
	Benchmarks int                `json:"benchmarks"`
	Ratios     map[string]float64 `json:"ratios"`
}

func summarize(reports []Report) summary {
	s := summary{Benchmarks: len(reports), Ratios: make(map[string]float64)}
	for _, r := range reports {
		s.Ratios[r.Name] = r.Ratio
	}
	return s
}

func asTable(reports []Report) string {
	t := table.NewWriter()
	t.AppendHeader(table.Row{"benchmark", "ratio", "in one round", "a second", "beside", "p50 ms", "beside", "ratio", "p99 ms", "beside", "ratio"})
	for _, r := range reports {
		ratio := fmt.Sprintf("%.2f", r.Ratio)
		if r.Latency {
			ratio += " x the time"
		}
		t.AppendRow(table.Row{
			r.Name, ratio, fmt.Sprintf("%.2f to %.2f", r.RatioLow, r.RatioTop),
			fmt.Sprintf("%.0f", r.Annals), fmt.Sprintf("%.0f", r.Raw),
			p50(r.P50, r.Each), p50(r.RawP50, r.RawEach), ratioOf(r.RatioP50),
			inMilliseconds(r.P99), inMilliseconds(r.RawP99), ratioOf(r.RatioP99),
		})
	}
	return t.Render()
}

// p50 shows what was not timed one by one by its mean, in nanoseconds.
func p50(ms, ns float64) string {
	if ns > 0 {
		return fmt.Sprintf("%.0f ns", ns)
	}
	return inMilliseconds(ms)
}

func ratioOf(times float64) string {
	if times == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f", times)
}

func inMilliseconds(ms float64) string {
	if ms == 0 {
		return ""
	}
	return fmt.Sprintf("%.3f", ms)
}
