package house

import (
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// everything stands for all packages of the module, in mayImport.
const everything = "*"

// mayImport is the import graph: what each package may import of this module,
// outside its tests. store and cluster are leaves that do not know each other;
// actor and projector do not know each other; cmd wires; nothing imports cmd
// but cmd. A package that is not named here has no place yet: give it one.
var mayImport = map[string][]string{
	"store":           {},
	"store/jetstream": {"store", "store/privacy", "store/segment"},
	"store/segment":   {"store"},
	"store/backup":    {"store", "store/privacy", "store/segment"},
	"store/archive":   {"store", "store/segment"},
	"store/storetest": {"store"},
	"store/exchange":  {"store"},
	"store/migrate":   {"store"},
	"store/privacy":   {"store"},
	"store/ledger":    {"store", "store/privacy"},

	"store/privacy/privacytest": {"store", "store/privacy"},

	"actor":           {"store"},
	"actor/actortest": {"actor", "store"},
	"actor/trial":     {"actor", "store"},

	"projector":               {"store", "store/privacy"},
	"projector/kv":            {"projector", "store"},
	"projector/postgres":      {"projector", "store"},
	"projector/sqlite":        {"projector", "store"},
	"projector/projectortest": {"projector", "store", "store/privacy"},

	"cluster":          {},
	"cluster/embedded": {},

	"gateway":         {"actor", "projector", "cluster", "store", "store/ledger", "store/privacy"},
	"gateway/httpapi": {"actor", "gateway", "projector", "store", "store/privacy"}, // requests to forget, and receipts
	"gateway/access":  {"gateway", "store"},

	"cmd/node/permissions":  {"gateway", "projector", "projector/kv", "store"},
	"cmd/node/console":      {"gateway"}, // the type of a code
	"cmd/node/boot":         {},          // it knows no part
	"cmd/node/web":          {"cmd/node/boot", "cmd/node/console", "gateway", "gateway/access", "gateway/httpapi"},
	"cmd/node/servers":      {"cmd/node/console", "gateway", "store", "store/jetstream"},
	"cmd/node":              {"cmd/node/boot", "cmd/node/console", "cmd/node/permissions", "cmd/node/servers", "cmd/node/web", "actor", "actor/trial", "projector", "projector/kv", "projector/postgres", "projector/sqlite", "gateway", "gateway/access", "gateway/httpapi", "cluster", "cluster/embedded", "store", "store/backup", "store/exchange", "store/jetstream", "store/segment", "store/archive", "store/migrate", "store/privacy", "store/ledger"},
	"cmd/annals":            {"cmd/annals/bench", "cmd/node"},
	"cmd/annals/bench":      {everything}, // it measures every part
	"cmd/loans":             {everything},
	"cmd/loans/application": {"actor", "store"},
	"cmd/loans/views":       {"cmd/loans/application", "projector", "store"},
	"cmd/loans/history":     {"cmd/loans/application"},

	"test": {everything},
}

// suites are the packages that other packages' tests call.
var suites = []string{"store/storetest", "store/privacy/privacytest", "actor/actortest", "projector/projectortest"}

// keptTo says where a module may be imported, outside tests, and why no
// further. A folder stands for all that is in it. Domain packages, in the
// folders of cmd/loans, import nothing but what mayImport gives them and what
// comes from the makers of Go.
var keptTo = []struct {
	module  string
	folders []string
	why     string
}{
	{"github.com/nats-io/nats-server/v2", []string{"cluster/embedded"}, "it links a server into every client"},
	{"github.com/nats-io/nats.go", []string{"store/jetstream", "projector/kv", "gateway", "cluster", "cmd"}, "the core runs on any log"},
	{"github.com/synadia-io/orbit.go", []string{"store/jetstream", "projector/kv", "cluster", "cmd"}, "the core runs on any log"},
	{"github.com/jackc/pgx/v5", []string{"projector/postgres"}, "who keeps views elsewhere needs no PostgreSQL"},
	{"modernc.org/sqlite", []string{"projector/sqlite"}, "who keeps views elsewhere needs no SQLite"},
	{"github.com/vmihailenco/msgpack/v5", []string{"store"}, "stored bytes have one writer, behind store.Codec"},
	{"github.com/prometheus/client_golang", []string{"store/jetstream", "actor", "projector", "gateway", "cluster", "cmd"}, "the vocabulary measures nothing"},
	{"github.com/golang-jwt/jwt/v5", []string{"gateway/access"}, "who only sends commands verifies no tokens"},
	{"github.com/MicahParks/jwkset", []string{"gateway/access"}, "who only sends commands verifies no tokens"},
	{"github.com/spf13/cobra", []string{"cmd"}, "only commands have a command line"},
	{"github.com/jedib0t/go-pretty/v6", []string{"cmd"}, "only commands print tables"},
	{"github.com/itchyny/gojq", []string{"cmd/node/console"}, "one place filters what is printed"},
	{"golang.org/x/term", []string{"cmd/node/console"}, "one place knows a terminal"},
	{"github.com/anishathalye/porcupine", suites, "it is for tests"},
	{"github.com/google/go-cmp", suites, "it is for tests"},
	{"github.com/rogpeppe/go-internal", suites, "it is for tests"},
	{"go.uber.org/goleak", suites, "it is for tests"},
	{"pgregory.net/rapid", suites, "it is for tests"},
	{"testing", suites, "it registers flags in whatever imports it"},
}

func TestImportsFollowTheGraph(t *testing.T) {
	t.Parallel()
	for _, f := range files() {
		if f.test() {
			continue // a test may stand on whatever does not make a cycle
		}
		allowed, known := placeOf(f.dir())
		if !known {
			t.Errorf("%s: package %s has no place in the import graph; give it one in test/house", f.path, f.dir())
			continue
		}
		for _, imported := range imports(f) {
			own, ok := strings.CutPrefix(imported, modulePath+"/")
			if ok && !slices.Contains(allowed, own) && !slices.Contains(allowed, everything) {
				t.Errorf("%s imports %s; of this module it may import %v", f.path, own, allowed)
			}
		}
	}
}

func TestModulesStayWhereTheyBelong(t *testing.T) {
	t.Parallel()
	for _, f := range files() {
		if f.test() || under(f.path, "test") {
			continue
		}
		for _, imported := range imports(f) {
			if foreign(imported) && underAny(f.path, domain) {
				t.Errorf("%s imports %s: a domain stands on Go alone", f.path, imported)
			}
			for _, k := range keptTo {
				if under(imported, k.module) && !underAny(f.path, k.folders) {
					t.Errorf("%s imports %s, which stays in %v: %s", f.path, imported, k.folders, k.why)
				}
			}
		}
	}
}

// domain are the packages that an application's author copies from.
var domain = []string{"cmd/loans/application", "cmd/loans/views", "cmd/loans/history"}

// foreign reports whether an import comes neither from here nor from the makers
// of Go, whose standard library has no host in its paths.
func foreign(imported string) bool {
	host, _, _ := strings.Cut(imported, "/")
	return strings.Contains(host, ".") && host != "golang.org" && !under(imported, modulePath)
}

// The graph must not outlive the packages that it names.
func TestGraphNamesNothingThatIsGone(t *testing.T) {
	t.Parallel()
	for _, dir := range slices.Sorted(maps.Keys(mayImport)) {
		if !exists(dir) {
			t.Errorf("the import graph names %s, which does not exist", dir)
		}
	}
}

// placeOf returns what the package in dir may import. What spans packages, in
// test, shares one entry.
func placeOf(dir string) (allowed []string, known bool) {
	if under(dir, "test") {
		dir = "test"
	}
	allowed, known = mayImport[dir]
	return allowed, known
}

func imports(f *file) []string {
	paths := make([]string, 0, len(f.ast.Imports))
	for _, spec := range f.ast.Imports {
		if p, err := strconv.Unquote(spec.Path.Value); err == nil {
			paths = append(paths, p)
		}
	}
	return paths
}

// importName returns the name under which f knows the package, "" if it does
// not import it.
func importName(f *file, imported string) string {
	for _, spec := range f.ast.Imports {
		if p, err := strconv.Unquote(spec.Path.Value); err != nil || p != imported {
			continue
		}
		if spec.Name != nil {
			return spec.Name.Name
		}
		return path.Base(imported)
	}
	return ""
}

func underAny(path string, folders []string) bool {
	return slices.ContainsFunc(folders, func(folder string) bool { return under(path, folder) })
}
