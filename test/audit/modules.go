package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
)

const own = "github.com/annals-go/annals"

// systems are those that a build of ours may run on.
var systems = []string{"linux", "darwin", "windows"}

// module is one that our packages are built from.
type module struct {
	Path, Version, Dir, Sum string
	// Shipped: not only tests and trials need it.
	Shipped bool
	// Licences are those of the packages that are used, sorted.
	Licences []string

	folders map[string]bool // of the packages that are used
}

// listed is what the go command tells of a package.
type listed struct {
	Dir    string
	Module *struct{ Path, Version, Dir string }
}

// list returns the modules that our packages need on any system, by path.
func list(ctx context.Context) ([]*module, error) {
	shipped, err := output(ctx, nil, "list", own+"/...")
	if err != nil {
		return nil, err
	}
	var roots []string
	for p := range strings.Lines(string(shipped)) {
		if p = strings.TrimSpace(p); !strings.HasPrefix(p, own+"/test/") {
			roots = append(roots, p)
		}
	}
	all := map[string]*module{}
	for _, system := range systems {
		if err := add(ctx, all, system, true, append([]string{"-deps"}, roots...)...); err != nil {
			return nil, err
		}
		if err := add(ctx, all, system, false, "-deps", "-test", own+"/..."); err != nil {
			return nil, err
		}
	}
	if err := sums(all); err != nil {
		return nil, err
	}
	return slices.SortedFunc(maps.Values(all), func(a, b *module) int { return strings.Compare(a.Path, b.Path) }), nil
}

// add adds the modules of the packages that a query of the go command lists.
func add(ctx context.Context, all map[string]*module, system string, shipped bool, query ...string) error {
	text, err := output(ctx, []string{"GOOS=" + system, "CGO_ENABLED=0"}, append([]string{"list", "-json=Dir,Module"}, query...)...)
	if err != nil {
		return err
	}
	for decoder := json.NewDecoder(bytes.NewReader(text)); ; {
		var p listed
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if p.Module == nil || p.Module.Path == own {
			continue
		}
		m := all[p.Module.Path]
		if m == nil {
			m = &module{Path: p.Module.Path, Version: p.Module.Version, Dir: p.Module.Dir, folders: map[string]bool{}}
			all[m.Path] = m
		}
		m.Shipped = m.Shipped || shipped
		m.folders[p.Dir] = true
	}
}

// sums takes the checksums from go.sum. A module without one would be a source that
// nothing holds.
func sums(all map[string]*module) error {
	text, err := os.ReadFile("go.sum")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if m := all[f[0]]; len(f) == 3 && m != nil && m.Version == f[1] {
			m.Sum = f[2]
		}
	}
	for _, m := range all {
		if m.Sum == "" {
			return fmt.Errorf("go.sum has no checksum of %s %s", m.Path, m.Version)
		}
	}
	return nil
}

// requirements returns which of the modules each of them, and ours, requires.
func requirements(ctx context.Context, modules []*module) (map[string][]string, error) {
	text, err := output(ctx, nil, "mod", "graph")
	if err != nil {
		return nil, err
	}
	version := map[string]string{own: ""}
	for _, m := range modules {
		version[m.Path] = m.Version
	}
	needs := map[string][]string{}
	for line := range strings.Lines(string(text)) {
		from, to, _ := strings.Cut(strings.TrimSpace(line), " ")
		path, v, _ := strings.Cut(from, "@")
		target, _, _ := strings.Cut(to, "@")
		// The graph also tells what older versions required, which are not built.
		if want, known := version[path]; !known || v != want {
			continue
		}
		if _, known := version[target]; known && !slices.Contains(needs[path], target) {
			needs[path] = append(needs[path], target)
		}
	}
	for _, list := range needs {
		slices.Sort(list)
	}
	return needs, nil
}

// verify compares the sources of all modules with go.sum.
func verify(ctx context.Context) error {
	_, err := output(ctx, nil, "mod", "verify")
	return err
}

// output runs the go command and returns what it prints.
func output(ctx context.Context, environment []string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Env = append(os.Environ(), environment...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	text, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go %s: %w\n%s%s", strings.Join(args[:min(2, len(args))], " "), err, errs.Bytes(), tail(text))
	}
	return text, nil
}

// tail is the end of a text.
func tail(text []byte) []byte { return text[max(0, len(text)-2000):] }
