package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/cmd/node/console"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/jetstream"
	"github.com/annals-go/annals/store/privacy"
)

// kekFlag names where the keys are that the keys of data subjects are wrapped by.
const kekFlag = "kek"

const kekHelp = "`WHERE` the keys are that wrap the keys of personal data: file:PATH, env:NAME, or exec:PROGRAM that wraps them itself"

// openWrapper opens what --kek names; nil if it names nothing.
func (s *Session) openWrapper(ctx context.Context) (privacy.Wrapper, error) {
	kind, where, _ := strings.Cut(s.flags.kek, ":")
	switch {
	case s.flags.kek == "":
		return nil, nil
	case where == "":
	case kind == "file":
		w, err := opened(privacy.OpenFile(where))
		if f, is := errors.AsType[*Failure](err); is && errors.Is(err, fs.ErrNotExist) {
			f.Fix += fmt.Sprintf("; where nothing was ever stored, make one with: %s keys generate %s", s.app.Name, where)
		}
		return w, err
	case kind == "env":
		return opened(privacy.OpenEnv(where))
	case kind == "exec":
		return opened(privacy.OpenCommand(ctx, privacy.CommandConfig{Path: where}))
	}
	// What was given is not repeated: it may be a key, above all in the flag's variable.
	return nil, Usage("--%s names no place of keys: want file:PATH, env:NAME or exec:PROGRAM", kekFlag)
}

// opened is a wrapper, or why there is none: never a nil pointer in an interface.
func opened[W privacy.Wrapper](w W, err error) (privacy.Wrapper, error) {
	if err != nil {
		return nil, kekFailure(err)
	}
	return w, nil
}

func kekFailure(err error) *Failure {
	f := &Failure{
		Code: codeKek, Exit: console.ExitUsage, What: "the wrapping keys cannot be had", Why: err.Error(),
		Fix: "name those that the namespace was used with, with --" + kekFlag, Err: err,
	}
	program, is := errors.AsType[*privacy.CommandError](err)
	exposed, exposes := errors.AsType[*privacy.ExposedError](err)
	switch {
	case is && program.Started():
		f.Code, f.Exit, f.Why = gateway.CodeUnavailable, console.ExitUnavailable, program.Error()
		f.Fix = fmt.Sprintf(`see what it says, and that it answers {"by":NAME}: echo '{"do":"current"}' | %s`, program.Path)
	case is:
		f.Why = program.Error()
		f.Fix = "name a program that this user may run, with its path and nothing after it: --" + kekFlag + " exec:PROGRAM"
	case exposes:
		f.Fix = "chmod 600 " + exposed.Path + "; if others may have read it, make another, and then: keys rotate"
	case errors.Is(err, store.ErrUnavailable):
		f.Code, f.Exit = gateway.CodeUnavailable, console.ExitUnavailable
	}
	return f
}

// personal are the aggregate types of the application that have personal fields.
func (a App) personal() ([]string, error) {
	var names []string
	for _, d := range a.Aggregates {
		m, err := actor.NewModel(d, store.MsgPack)
		if err != nil {
			return nil, err
		}
		if isPersonal(m.Types(actor.EventType)) || isPersonal(m.Types(actor.CommandType)) {
			names = append(names, d.TypeName())
		}
	}
	return names, nil
}

func isPersonal(types []actor.Type) bool {
	for _, t := range types {
		for _, f := range t.Fields {
			if f.Personal != "" {
				return true
			}
		}
	}
	return false
}

// needsKek refuses to run an application with personal data without a wrapping key.
func (s *Session) needsKek(personal []string) *Failure {
	return &Failure{
		Code: codeNoKek, Exit: console.ExitUsage,
		What: s.app.Name + " keeps personal data, and there is no key to keep them under",
		Why:  "personal fields are in: " + strings.Join(personal, ", "),
		Fix:  fmt.Sprintf("make a key with: %s keys generate kek; then start with --kek file:kek, and keep the file where no backup of the data goes", s.app.Name),
	}
}

// wrapperToRun is the wrapper of a node: what --kek names, else what spare makes up, which is
// asked only if the application has personal data. Nil: there are none.
func (s *Session) wrapperToRun(ctx context.Context, spare func() (privacy.Wrapper, error)) (privacy.Wrapper, error) {
	w, err := s.openWrapper(ctx)
	if err != nil || w != nil {
		return w, err
	}
	personal, err := s.app.personal()
	if err != nil || len(personal) == 0 {
		return nil, err
	}
	if spare == nil {
		return nil, s.needsKek(personal)
	}
	return spare()
}

// devKekName is the file of the wrapping key that dev makes in its directory.
const devKekName = "kek"

// devWrapper is that of dev where nobody names one: in memory as the data are, or beside them.
// made is the file that was made for it, if there was none.
func (s *Session) devWrapper(dir string) (w privacy.Wrapper, made string, err error) {
	if dir == "" {
		s.Logger().Info("personal data are sealed under a key in memory, which is gone when this process ends")
		return privacy.NewTransient(), "", nil
	}
	path := filepath.Join(dir, devKekName)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		if err := s.refuseSpareKek(dir, path); err != nil {
			return nil, "", err
		}
		if err := makeKek(dir, path); err != nil {
			return nil, "", err
		}
		made = path
	}
	s.Logger().Warn("the key of personal data lies beside them: whoever takes the directory has both", "file", path, "fix", "--kek")
	w, err = opened(privacy.OpenFile(path))
	return w, made, err
}

// refuseSpareKek refuses to make a wrapping key beside a key store of the namespace: that was used with another.
func (s *Session) refuseSpareKek(dir, path string) error {
	streams := "jetstream/*/streams/" + jetstream.KeysPrefix(s.Namespace()) + "*"
	for _, pattern := range []string{streams, "*/" + streams} { // of one server, and of several
		found, err := fs.Glob(os.DirFS(dir), pattern)
		if err != nil {
			return err
		}
		if len(found) > 0 {
			return &Failure{
				Code: codeNoKek, Exit: console.ExitUsage, What: "the directory has a key store of personal data, and no wrapping key was named",
				Why: "the key store was used with a wrapping key that is not in " + path,
				Fix: "name it with --" + kekFlag + " file:PATH",
			}
		}
	}
	return nil
}

// removeUselessKek takes away a wrapping key that was made for a run which was then refused for sealed data whose
// keys are not there: it has wrapped nothing.
func removeUselessKek(path string, err error) error {
	if f, is := errors.AsType[*Failure](err); is && f.Code == codeKeysGone {
		return errors.Join(err, os.Remove(path))
	}
	return err
}

func makeKek(dir, path string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return privacy.GenerateFile(path, "k1")
}
