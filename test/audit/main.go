package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"text/tabwriter"

	"github.com/annals-go/annals/test/harness"
)

func main() { harness.Main("audit", start) }

// report is the last line that is printed.
type report struct {
	Modules         int            `json:"modules"`
	Shipped         int            `json:"shipped"`
	Licences        map[string]int `json:"licences"`
	Refused         int            `json:"refused"`
	Verified        bool           `json:"verified"`
	Vulnerabilities string         `json:"vulnerabilities"`
	SBOM            string         `json:"sbom"`
}

type options struct {
	sbom, checker string
	require       bool
}

func start(ctx context.Context, args []string, out, tell io.Writer) error {
	var o options
	set := flag.NewFlagSet("audit", flag.ContinueOnError)
	set.SetOutput(tell)
	set.StringVar(&o.sbom, "sbom", filepath.Join(".tmp", "sbom.cdx.json"), "where to write the bill of materials")
	set.StringVar(&o.checker, "govulncheck", "govulncheck", "the checker for known vulnerabilities")
	set.BoolVar(&o.require, "require-vulnerabilities", false, "fail if there is no database of vulnerabilities")
	if err := harness.Parse(set, args); err != nil {
		return err
	}
	r, failures, err := audit(ctx, o, out)
	if err != nil {
		return err
	}
	var flags harness.Flags
	return flags.Conclude(out, r, nil, func() error { return errors.Join(failures...) })
}

// audit returns what it found, and what of it must not be.
func audit(ctx context.Context, o options, out io.Writer) (r report, failures []error, err error) {
	modules, err := list(ctx)
	if err != nil {
		return r, nil, err
	}
	for _, m := range modules {
		if err := m.readLicences(); err != nil {
			failures = append(failures, err)
		}
	}
	r.SBOM = o.sbom
	if err := writeBill(ctx, o.sbom, modules); err != nil {
		return r, nil, err
	}
	r.count(modules)
	r.Refused = len(failures)
	if err := printTable(out, modules); err != nil {
		return r, nil, err
	}
	verified := verify(ctx)
	r.Verified = verified == nil
	var vulnerable error
	r.Vulnerabilities, vulnerable = vulnerabilities(ctx, o, out)
	return r, append(failures, verified, vulnerable), nil
}

func (r *report) count(modules []*module) {
	r.Modules, r.Licences = len(modules), map[string]int{}
	for _, m := range modules {
		if m.Shipped {
			r.Shipped++
		}
		for _, l := range m.Licences {
			r.Licences[l]++
		}
	}
}

func printTable(out io.Writer, modules []*module) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, m := range modules {
		use := "tests"
		if m.Shipped {
			use = "shipped"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%v\n", m.Path, m.Version, use, m.Licences)
	}
	return table.Flush()
}

// writeBill writes the bill of materials to a file.
func writeBill(ctx context.Context, name string, modules []*module) error {
	needs, err := requirements(ctx, modules)
	if err != nil {
		return err
	}
	text, err := bill(modules, needs)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return os.WriteFile(name, text, 0o644)
}

// names are those of modules, sorted.
func names(modules []*module) []string {
	var all []string
	for _, m := range modules {
		all = append(all, m.Path)
	}
	slices.Sort(all)
	return all
}
