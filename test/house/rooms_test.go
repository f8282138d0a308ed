package house

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The top level, whole: whatever is new goes inside one of the folders.
var (
	topFolders = []string{"actor", "cluster", "cmd", "gateway", "projector", "store", "test"}
	topHidden  = []string{".ci"}
	topFiles   = []string{
		".gitignore", ".golangci.yml", "ARCHITECTURE.md", "CHANGELOG.md", "LICENSE", "Makefile", "README.md", "go.mod", "go.sum",
	}
)

func TestTopLevelIsExactlyTheGivenOne(t *testing.T) {
	t.Parallel()
	entries, err := os.ReadDir(root())
	if err != nil {
		t.Fatal(err)
	}
	var folders, plain []string
	for _, e := range entries {
		switch {
		case ignored(e.Name()):
		case e.IsDir():
			folders = append(folders, e.Name())
		default:
			plain = append(plain, e.Name())
		}
	}
	compare(t, "folders", folders, slices.Concat(topHidden, topFolders))
	compare(t, "files", plain, topFiles)
}

func compare(t *testing.T, what string, got, want []string) {
	t.Helper()
	for _, name := range got {
		if !slices.Contains(want, name) {
			t.Errorf("%s at the top level: %s does not belong there", what, name)
		}
	}
	for _, name := range want {
		if !slices.Contains(got, name) {
			t.Errorf("%s at the top level: %s is missing", what, name)
		}
	}
}

func TestModuleStandsOnReleasesOnly(t *testing.T) {
	t.Parallel()
	for line := range strings.Lines(read(t, "go.mod")) {
		if strings.HasPrefix(strings.TrimSpace(line), "replace") {
			t.Errorf("go.mod: %s: go install of this module would refuse it", strings.TrimSpace(line))
		}
	}
}

// A package is a room: its doc.go says what it owns and what it never does, so
// that a line of code knows whether it belongs there.
func TestEachPackageSaysWhatItOwnsAndNeverDoes(t *testing.T) {
	t.Parallel()
	owns := regexp.MustCompile(`\b(owns?|holds|keeps)\b`)
	never := regexp.MustCompile(`\b(never|nothing|no)\b`)
	for dir, group := range packages() {
		found := false
		for _, f := range group {
			if f.ast.Doc == nil || f.test() {
				continue
			}
			if !strings.HasSuffix(f.path, "/doc.go") {
				t.Errorf("%s: the package comment belongs in doc.go", f.path)
				continue
			}
			found = true
			text := f.ast.Doc.Text()
			program := f.ast.Name.Name == "main" && f.checks() // says what it shows instead
			if !program && (!owns.MatchString(text) || !never.MatchString(text)) {
				t.Errorf("%s: the package comment does not say what the package owns and what it never does", f.path)
			}
			if name := f.ast.Name.Name; name != "main" && !strings.HasPrefix(text, "Package "+name+" ") {
				t.Errorf("%s: the package comment does not begin with \"Package %s\"", f.path, name)
			}
		}
		if !found {
			t.Errorf("%s: no doc.go with a package comment", dir)
		}
	}
}

func TestEachPackageHasItsDesign(t *testing.T) {
	t.Parallel()
	const most = 150 // lines; what needs more is not decided yet
	for dir := range packages() {
		name := dir + "/DESIGN.md"
		if !exists(name) {
			t.Errorf("%s is missing: purpose, invariants, decisions with why and what was rejected", name)
			continue
		}
		if n := strings.Count(read(t, name), "\n"); n > most {
			t.Errorf("%s has %d lines, at most %d", name, n, most)
		}
	}
}

// Names that say nothing attract everything.
func TestNoPackageIsADrawer(t *testing.T) {
	t.Parallel()
	drawers := []string{"util", "utils", "common", "helper", "helpers", "misc", "internal"}
	for dir, group := range packages() {
		if name := group[0].ast.Name.Name; slices.Contains(drawers, name) {
			t.Errorf("%s: a package named %s is a drawer", dir, name)
		}
	}
}
