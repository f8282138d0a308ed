package node

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/annals-go/annals/cmd/node/console"
)

func newGenerateAlerts(s *Session) *cobra.Command {
	return &cobra.Command{
		Use:   "alerts",
		Short: "Print Prometheus rules for the five signals that matter first",
		Long: `A rule file for Prometheus: a projection that lags, dead letters, commands that
conflict, snapshots that are not written, and a node without the wrapping key of
personal data. Each alert says in its annotation "runbook" what it means and which
command to type first.

The rules use the metrics of dev and node, at /metrics. They need no server.`,
		Example: `{{name}} generate alerts > annals.rules.yml
{{name}} generate alerts --json`,
		Args: console.Args(0, 0),
		RunE: func(*cobra.Command, []string) error {
			rules := alertRules(s.app.Name)
			if s.JSON() {
				return s.Print(rules)
			}
			_, err := fmt.Fprint(s.Out(), rules.yaml())
			return err
		},
	}
}

// ruleFile is a Prometheus rule file.
type ruleFile struct {
	Groups []ruleGroup `json:"groups"`
}

type ruleGroup struct {
	Name  string      `json:"name"`
	Rules []alertRule `json:"rules"`
}

// alertRule is one alert of a rule file.
type alertRule struct {
	Alert       string          `json:"alert"`
	Expr        string          `json:"expr"`
	For         string          `json:"for"`
	Labels      alertLabels     `json:"labels"`
	Annotations alertAnnotation `json:"annotations"`
}

type alertLabels struct {
	Severity string `json:"severity"`
}

// alertAnnotation is what a person reads. Its texts are templates of
// Prometheus.
type alertAnnotation struct {
	Summary string `json:"summary"`
	// Runbook says what the alert means, and the first command to type.
	Runbook string `json:"runbook"`
}

// alertRules are the rules of an application of that name.
func alertRules(app string) ruleFile {
	return ruleFile{Groups: []ruleGroup{{Name: "annals-" + app, Rules: []alertRule{
		{
			Alert:  "AnnalsProjectionLag",
			Expr:   "max by (projection) (annals_projection_lag_seconds) > 60",
			For:    "1m",
			Labels: alertLabels{"warning"},
			Annotations: alertAnnotation{
				Summary: "View {{ $labels.projection }} is {{ $value | humanizeDuration }} behind the log.",
				Runbook: "Queries of the view answer with what was so that long ago, and those that ask for a position time out. Its projection catches up, is held up by its store, or cannot go on. First: " + app + " projection ls",
			},
		},
		{
			Alert:  "AnnalsDeadLetters",
			Expr:   "sum by (projection) (annals_dlq_messages) > 0",
			For:    "0m",
			Labels: alertLabels{"warning"},
			Annotations: alertAnnotation{
				Summary: "{{ $value }} streams are parked for view {{ $labels.projection }}.",
				Runbook: "An event could not be applied; it and the later events of its stream wait in order, all other streams go on, and nothing is lost. First: " + app + " dlq ls {{ $labels.projection }}",
			},
		},
		{
			Alert:  "AnnalsCommandConflicts",
			Expr:   "sum by (aggregate) (rate(annals_append_conflicts_total[5m])) / sum by (aggregate) (rate(annals_commands_total[5m])) > 0.05",
			For:    "5m",
			Labels: alertLabels{"warning"},
			Annotations: alertAnnotation{
				Summary: "{{ $value | humanizePercentage }} of the commands to {{ $labels.aggregate }} meet a conflict.",
				Runbook: "Many senders change the same instances under versions that have passed, or two nodes write the same partition; each conflict is a command decided again or refused, never one lost. First: " + app + " cluster partitions",
			},
		},
		{
			Alert:  "AnnalsEventsSinceSnapshot",
			Expr:   "max by (instance, job) (annals_events_since_snapshot_max) > 500",
			For:    "5m",
			Labels: alertLabels{"warning"},
			Annotations: alertAnnotation{
				Summary: "An actor on {{ $labels.instance }} has {{ $value }} events since its last snapshot.",
				Runbook: "Snapshots are not written, or fail; whoever activates the actor next reads all these events, so that a hand-over or a restart takes longer. Nothing is lost. First: curl -s http://{{ $labels.instance }}/metrics | grep annals_snapshot",
			},
		},
		{
			Alert:  "AnnalsWrappingKeyLacking",
			Expr:   "max by (instance, job) (annals_wrapping_key_lacking) > 0",
			For:    "1m",
			Labels: alertLabels{"critical"},
			Annotations: alertAnnotation{
				Summary: "The node on {{ $labels.instance }} does not have the current wrapping key.",
				Runbook: "Keys were wrapped anew before the node was given the key: it refuses commands and reads with personal data that need a key from it, until it is. All else is served and nothing is lost. Its log names the key; give it to what --kek names there. First: curl -s 'http://{{ $labels.instance }}/readyz?verbose'",
			},
		},
	}}}}
}

// yaml prints the file as Prometheus wants it. A text in double quotes is the
// same in YAML and in JSON, for what is printable.
func (f ruleFile) yaml() string {
	var b strings.Builder
	b.WriteString("groups:\n")
	for _, g := range f.Groups {
		fmt.Fprintf(&b, "  - name: %s\n    rules:\n", g.Name)
		for _, r := range g.Rules {
			fmt.Fprintf(&b, `      - alert: %s
        expr: %q
        for: %s
        labels:
          severity: %s
        annotations:
          summary: %q
          runbook: %q
`, r.Alert, r.Expr, r.For, r.Labels.Severity, r.Annotations.Summary, r.Annotations.Runbook)
		}
	}
	return b.String()
}
