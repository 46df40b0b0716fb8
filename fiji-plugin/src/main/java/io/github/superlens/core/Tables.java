package io.github.superlens.core;

import java.util.List;

import ij.measure.ResultsTable;

/** Rows of the engine's numbers as ImageJ's table. */
public final class Tables {

	private Tables() {
		// converts
	}

	/**
	 * Makes a table that is not shown yet.
	 *
	 * @param columns a name for each column
	 * @param rows a number, text or null for each column; null becomes NaN
	 */
	public static ResultsTable of(List<String> columns, List<List<Object>> rows) {
		final ResultsTable table = new ResultsTable();
		table.setPrecision(4);
		fill(table, columns, rows);
		return table;
	}

	/** Puts rows into ImageJ's own table of results, where macros find them without a window. */
	public static void toResults(List<String> columns, List<List<Object>> rows) {
		final ResultsTable results = ResultsTable.getResultsTable();
		results.reset();
		fill(results, columns, rows);
	}

	private static void fill(ResultsTable table, List<String> columns, List<List<Object>> rows) {
		for (final List<Object> row : rows) {
			table.incrementCounter();
			for (int i = 0; i < columns.size(); i++) {
				final Object value = i < row.size() ? row.get(i) : null;
				if (value instanceof String) table.addValue(columns.get(i), (String) value);
				else table.addValue(columns.get(i), value instanceof Number ? ((Number) value).doubleValue() : Double.NaN);
			}
		}
	}
}
