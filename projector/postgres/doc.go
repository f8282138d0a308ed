// Package postgres keeps read models in PostgreSQL: one schema for each model,
// with real tables in it, so that documents can be asked for with SQL, and SQL
// views have tables of their own.
//
// It owns the layout of a schema and how documents, notes, tables and
// checkpoint are stored together: in one transaction that begins with the
// checkpoint's row, so that a writer whose view was taken over writes nothing
// at all.
//
// It never knows what a document means, follows no log and trusts no server
// that does not sync its disk.
package postgres
