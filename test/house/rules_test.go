package house

import (
	"fmt"
	"go/ast"
	"go/token"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// rule is one habit of the code, checked on each Go file by itself.
type rule struct {
	name string
	why  string
	// find returns the places that break the rule, each as "path:line: what".
	find func(*file) []string
	// breaks is a file that breaks the rule once, and path where it would stand.
	breaks, path string
}

var rules = []rule{
	{
		name: "no init function", why: "what happens at start is read in main",
		find: findInit, path: "store/x.go", breaks: `package x; func init() {}`,
	},
	{
		name: "libraries do not print", why: "they return errors, and log through the slog.Logger that they are given",
		find: findPrint, path: "store/x.go", breaks: `package x; import "fmt"; func f() { fmt.Println(1) }`,
	},
	{
		name: "no call of package log", why: "logging is structured, and injected",
		find: findLog, path: "store/x.go", breaks: `package x; import "log"; func f() { log.Print(1) }`,
	},
	{
		name: "no sleeping tests", why: "a test waits for a condition, or runs in fake time (testing/synctest)",
		find: findSleep, path: "store/x_test.go", breaks: `package x; import "time"; func TestX(*T) { time.Sleep(1) }`,
	},
	{
		name: "no silent skip", why: "a run says what it did not show",
		find: findSilentSkip, path: "store/x_test.go", breaks: `package x; func TestX(t *T) { t.SkipNow() }`,
	},
	{
		name: "a skip is no success", why: "a reader of a run that is all \"ok\" searches for these words",
		find: findQuietSkip, path: "store/x_test.go", breaks: `package x; func TestX(t *T) { t.Skip("no server") }`,
	},
	{
		name: "no context in a struct", why: "it is the first parameter, so that a call ends when its caller says",
		find: findStoredContext, path: "store/x.go", breaks: `package x; import "context"; type T struct { ctx context.Context }`,
	},
	{
		name: "nothing is left open", why: "what is here is done; what is not here is in the issues",
		find: findOpenEnds, path: "store/x.go", breaks: "package x // TO" + "DO: the rest",
	},
	{
		name: "files stay under 500 lines", why: "a longer one holds two ideas",
		find: findLongFile, path: "store/x.go", breaks: "package x" + strings.Repeat("\n", mostLines+1),
	},
	{
		name: "errors say what was being done", why: "\"open stream: cause\" reads well nested, \"failed to\" does not",
		find: findFailedTo, path: "store/x.go", breaks: `package x; import "fmt"; var err = fmt.Errorf("failed` + ` to open: %w", nil)`,
	},
	{
		name: "subjects of JetStream have three homes", why: "the rest of the code runs on any log, any store of views and any placement",
		find: findJetStream, path: "actor/x.go", breaks: `package x; const c = "$J` + `S.API.INFO"`,
	},
}

func TestHabits(t *testing.T) {
	t.Parallel()
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			for _, f := range files() {
				for _, place := range r.find(f) {
					t.Errorf("%s (%s)", place, r.why)
				}
			}
		})
	}
}

// A rule that finds nothing in what breaks it is no rule.
func TestHabitsAreNoticed(t *testing.T) {
	t.Parallel()
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			f, err := parse(r.path, []byte(r.breaks))
			if err != nil {
				t.Fatal(err)
			}
			if places := r.find(f); len(places) != 1 {
				t.Errorf("found %q, want one place", places)
			}
		})
	}
}

func findInit(f *file) []string {
	var found []string
	for _, fn := range functions(f) {
		if fn.Name.Name == "init" && fn.Recv == nil {
			found = append(found, f.at(fn)+": init function")
		}
	}
	return found
}

func findPrint(f *file) []string {
	if f.program() {
		return nil
	}
	var found []string
	for _, fn := range functions(f) {
		if strings.HasPrefix(fn.Name.Name, "Example") && f.test() {
			continue // an example prints what it shows
		}
		for _, call := range calls(fn, importName(f, "fmt")) {
			if strings.HasPrefix(call.name, "Print") {
				found = append(found, f.at(call.node)+": fmt."+call.name)
			}
		}
	}
	return found
}

func findLog(f *file) []string {
	var found []string
	for _, call := range calls(f.ast, importName(f, "log")) {
		found = append(found, f.at(call.node)+": log."+call.name)
	}
	return found
}

// findSleep passes over two uses: fake time, which is a function that starts a
// bubble, or a helper beside it in the same file; and polling, which is a loop
// that knows its deadline.
func findSleep(f *file) []string {
	if !f.checks() {
		return nil
	}
	bubble := importName(f, "testing/synctest")
	var found []string
	for _, fn := range functions(f) {
		helper := !strings.HasPrefix(fn.Name.Name, "Test") && !strings.HasPrefix(fn.Name.Name, "Benchmark")
		if bubble != "" && (helper || len(calls(fn, bubble)) > 0) {
			continue
		}
		polls := loopsWithDeadline(fn)
		for _, call := range calls(fn, importName(f, "time")) {
			if call.name == "Sleep" && !within(call.node, polls) {
				found = append(found, f.at(call.node)+": time.Sleep outside fake time and outside a loop with a deadline")
			}
		}
	}
	return found
}

// loopsWithDeadline returns the for loops of fn that name a deadline.
func loopsWithDeadline(fn ast.Node) []ast.Node {
	var loops []ast.Node
	ast.Inspect(fn, func(n ast.Node) bool {
		loop, ok := n.(*ast.ForStmt)
		if !ok {
			return true
		}
		ast.Inspect(loop, func(inner ast.Node) bool {
			if id, ok := inner.(*ast.Ident); ok && strings.Contains(strings.ToLower(id.Name), "deadline") {
				loops = append(loops, loop)
				return false
			}
			return true
		})
		return true
	})
	return loops
}

func within(n ast.Node, outer []ast.Node) bool {
	for _, o := range outer {
		if o.Pos() <= n.Pos() && n.End() <= o.End() {
			return true
		}
	}
	return false
}

func findSilentSkip(f *file) []string {
	var found []string
	ast.Inspect(f.ast, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		sel, ok := call.Fun.(*ast.SelectorExpr)
		if ok && len(call.Args) == 0 && (sel.Sel.Name == "SkipNow" || sel.Sel.Name == "Skip" && f.checks()) {
			found = append(found, f.at(call)+": skipped without a reason")
		}
		return true
	})
	return found
}

// findQuietSkip looks at what is written out; a message from elsewhere is nobody's here.
func findQuietSkip(f *file) []string {
	var found []string
	ast.Inspect(f.ast, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || len(call.Args) == 0 {
			return true
		}
		sel, ok := call.Fun.(*ast.SelectorExpr)
		text, isText := call.Args[0].(*ast.BasicLit)
		if ok && isText && (sel.Sel.Name == "Skip" || sel.Sel.Name == "Skipf") && !strings.HasPrefix(text.Value, `"SKIPPED, NOT PASSED: `) {
			found = append(found, f.at(call)+": a skip begins with \"SKIPPED, NOT PASSED: \"")
		}
		return true
	})
	return found
}

func findStoredContext(f *file) []string {
	name := importName(f, "context")
	var found []string
	ast.Inspect(f.ast, func(n ast.Node) bool {
		s, ok := n.(*ast.StructType)
		if !ok {
			return true
		}
		for _, field := range s.Fields.List {
			if len(field.Names) == 0 {
				continue // embedded: a context of one's own is built on another
			}
			if sel, ok := field.Type.(*ast.SelectorExpr); ok && name != "" && isIdent(sel.X, name) && sel.Sel.Name == "Context" {
				found = append(found, f.at(field)+": context.Context in a struct")
			}
		}
		return true
	})
	return found
}

// openEnds is written so that this file does not find itself.
var openEnds = regexp.MustCompile(`\b(TO[D]O|FIX[M]E|XX[X])\b|(?i:not (?:yet )?implemen[t]ed|unimplemen[t]ed)`)

func findOpenEnds(f *file) []string {
	var found []string
	for i, line := range strings.Split(string(f.src), "\n") {
		if match := openEnds.FindString(line); match != "" {
			found = append(found, fmt.Sprintf("%s:%d: %q", f.path, i+1, match))
		}
	}
	return found
}

// mostLines is where a file is asked whether it holds two ideas.
const mostLines = 500

// longFiles are the exceptions, each with the reason why it is one idea.
var longFiles = map[string]string{}

func findLongFile(f *file) []string {
	lines := strings.Count(string(f.src), "\n")
	if _, excepted := longFiles[f.path]; lines <= mostLines || excepted {
		return nil
	}
	return []string{fmt.Sprintf("%s: %d lines", f.path, lines)}
}

func findFailedTo(f *file) []string {
	var found []string
	for _, lit := range literals(f) {
		if strings.HasPrefix(strings.ToLower(lit.text), "failed"+" to ") {
			found = append(found, f.at(lit.node)+": "+lit.text)
		}
	}
	return found
}

// findJetStream looks at the code only: a hostile id in a test is no subject,
// and a benchmark speaks to JetStream to compare with it.
func findJetStream(f *file) []string {
	// What users may ask the servers is printed in their words.
	if f.checks() || f.path == "cmd/node/permissions/names.go" || underAny(f.path, []string{"store/jetstream", "projector/kv", "cluster", "cmd/annals/bench"}) {
		return nil
	}
	var found []string
	for _, lit := range literals(f) {
		for _, prefix := range []string{"$J" + "S.", "$K" + "V.", "Nats-Expected-"} {
			if strings.HasPrefix(lit.text, prefix) {
				found = append(found, f.at(lit.node)+": "+lit.text)
			}
		}
	}
	return found
}

func functions(f *file) []*ast.FuncDecl {
	var all []*ast.FuncDecl
	for _, d := range f.ast.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok {
			all = append(all, fn)
		}
	}
	return all
}

// use is a place that names something of an imported package.
type use struct {
	node ast.Node
	name string
}

// calls returns what under n is named of the package imported as pkg; nothing
// if pkg is empty.
func calls(n ast.Node, pkg string) []use {
	var found []use
	ast.Inspect(n, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok && pkg != "" && isIdent(sel.X, pkg) {
			found = append(found, use{sel, sel.Sel.Name})
		}
		return true
	})
	return found
}

func isIdent(e ast.Expr, name string) bool {
	id, ok := e.(*ast.Ident)
	return ok && id.Name == name
}

// literal is a string in the code.
type literal struct {
	node ast.Node
	text string
}

func literals(f *file) []literal {
	var all []literal
	ast.Inspect(f.ast, func(n ast.Node) bool {
		if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			if text, err := strconv.Unquote(lit.Value); err == nil {
				all = append(all, literal{lit, text})
			}
		}
		return true
	})
	return all
}
