// Package sqlite keeps read models in SQLite: one database file for each model,
// its documents plain JSON in the table documents, so that any SQLite tool can
// ask it while the view is kept up to date.
//
// It owns the file: how it is made, opened, shared between processes and removed,
// its schema, and how documents, notes, tables of an SQL view and checkpoint are
// stored in one transaction that expects the checkpoint, so that a writer whose
// view was taken over writes nothing at all.
//
// It never knows what a document means, follows no log and runs nothing.
package sqlite
