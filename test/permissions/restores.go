//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/annals-go/annals/store/jetstream"
	"github.com/annals-go/annals/store/segment"
)

// restores fills namespaces from the backups, each on a server that has nothing else: of directories, and of
// object stores.
func (r *report) restores(ctx context.Context, s *stage, tell io.Writer) error {
	backups := filepath.Join(s.dir, "backups")
	err := r.restore(ctx, s, "restored", tell, operation{user: "pat", args: []string{"backup", "restore", backups, "--keys-from", backups + ".keys"}, says: "keys: "})
	if err != nil {
		return err
	}
	fromBuckets := []string{"backup", "restore", "nats:" + backupBucket, "--keys-from", "nats:" + keysBucket}
	return r.restore(ctx, s, "restored-buckets", tell,
		operation{user: "pat", args: fromBuckets, says: "keys: "},
		operation{user: "pat", args: []string{"keys", "restore", "nats:" + keysBucket, "--yes"}, says: "keys: "})
}

// restore has the buckets of a stage on a fresh server, and commands done there that nobody is refused.
func (r *report) restore(ctx context.Context, s *stage, name string, tell io.Writer, commands ...operation) error {
	fresh, err := raise(ctx, s.program, filepath.Join(s.dir, name), true, nil)
	if err != nil {
		return err
	}
	defer fresh.server.Shutdown()
	for _, bucket := range []string{backupBucket, keysBucket} {
		r.do(tell, "bring "+bucket+" to another server", func() error { return s.bring(ctx, bucket, fresh) })
	}
	for _, user := range []string{"olga", "archie"} {
		c := operation{user: user, args: commands[0].args}
		r.do(tell, user+" may not: "+fmt.Sprint(c.args), func() error { return fresh.refuses(ctx, c) })
	}
	fresh.ear.forget()
	for _, c := range commands {
		r.command(ctx, fresh, c, tell)
	}
	r.hear(fresh, tell)
	return nil
}

// bring copies an object store to another stage: the provisioner makes it there, the archivist fills it.
func (s *stage) bring(ctx context.Context, bucket string, fresh *stage) error {
	_, left, err := fresh.vault(ctx, "pat", bucket)
	if err != nil {
		return err
	}
	left()
	from, leave, err := s.vault(ctx, "archie", bucket)
	if err != nil {
		return err
	}
	defer leave()
	to, finish, err := fresh.vault(ctx, "archie", bucket)
	if err != nil {
		return err
	}
	defer finish()
	found, err := from.List(ctx, "")
	if err == nil && len(found) == 0 {
		err = fmt.Errorf("there is nothing in %s", bucket)
	}
	for _, e := range found {
		err = errors.Join(err, copyFile(ctx, from, to, e.Name))
	}
	return err
}

// vault opens an object store as a user, until the function is called that comes with it.
func (s *stage) vault(ctx context.Context, user, bucket string) (segment.Vault, func(), error) {
	nc, err := s.connect(user)
	if err != nil {
		return nil, nil, err
	}
	v, err := jetstream.OpenVault(ctx, nc, bucket, 1)
	if err != nil {
		nc.Close()
	}
	return v, nc.Close, err
}

func copyFile(ctx context.Context, from, to segment.Vault, name string) error {
	file, err := from.Open(ctx, name)
	if err != nil {
		return err
	}
	defer file.Close()
	draft, err := to.Create(ctx, name)
	if err != nil {
		return err
	}
	if _, err := io.Copy(draft, io.NewSectionReader(file, 0, file.Size())); err != nil {
		return errors.Join(err, draft.Abort())
	}
	return draft.Close()
}
