package io.github.superlens.engine;

import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * JSON text to plain Java values and back.
 * <p>
 * Objects are maps in their order, arrays are lists, whole numbers {@link Long}, others {@link Double}. What is written is ASCII, so that it
 * survives every code page on its way to Python. Own code, because the plugin must stay a single jar when Python hosts ImageJ: the JSON
 * library that comes with the worker's bridge is not there then.
 */
public final class Json {

	private final String text;
	private int at;

	private Json(String text) {
		this.text = text;
	}

	/**
	 * Reads one JSON value.
	 *
	 * @throws IllegalArgumentException when the text is not JSON, with the place
	 */
	public static Object parse(String text) {
		final Json reader = new Json(text == null ? "" : text);
		final Object value = reader.value();
		reader.skipBlank();
		if (reader.at < reader.text.length()) throw reader.unexpected("the end");
		return value;
	}

	/** Writes maps, lists, arrays of objects, numbers, booleans, text and null; numbers that JSON has no word for become null. */
	public static String write(Object value) {
		final StringBuilder out = new StringBuilder();
		write(value, out);
		return out.toString();
	}

	/** The value as an object; an empty one when it is null. */
	@SuppressWarnings("unchecked")
	public static Map<String, Object> object(Object value) {
		if (value == null) return Collections.emptyMap();
		if (value instanceof Map) return (Map<String, Object>) value;
		throw new IllegalArgumentException("expected a JSON object, found " + write(value));
	}

	/** The value as an array; an empty one when it is null. */
	@SuppressWarnings("unchecked")
	public static List<Object> array(Object value) {
		if (value == null) return Collections.emptyList();
		if (value instanceof List) return (List<Object>) value;
		throw new IllegalArgumentException("expected a JSON array, found " + write(value));
	}

	/** The text under a key, or another when there is none. */
	public static String text(Map<String, Object> object, String key, String otherwise) {
		final Object value = object.get(key);
		return value == null ? otherwise : value.toString();
	}

	/** The number under a key, or another when there is none. */
	public static double number(Map<String, Object> object, String key, double otherwise) {
		final Object value = object.get(key);
		return value instanceof Number ? ((Number) value).doubleValue() : otherwise;
	}

	private Object value() {
		skipBlank();
		if (at >= text.length()) throw unexpected("a value");
		switch (text.charAt(at)) {
			case '{':
				return members();
			case '[':
				return elements();
			case '"':
				return string();
			default:
				return word();
		}
	}

	private Map<String, Object> members() {
		final Map<String, Object> object = new LinkedHashMap<>();
		at++;
		if (next('}')) return object;
		do {
			skipBlank();
			final String key = string();
			expect(':');
			object.put(key, value());
		}
		while (next(','));
		expect('}');
		return object;
	}

	private List<Object> elements() {
		final List<Object> array = new ArrayList<>();
		at++;
		if (next(']')) return array;
		do {
			array.add(value());
		}
		while (next(','));
		expect(']');
		return array;
	}

	private String string() {
		if (at >= text.length() || text.charAt(at) != '"') throw unexpected("text in quotes");
		final StringBuilder out = new StringBuilder();
		for (at++; at < text.length(); at++) {
			final char c = text.charAt(at);
			if (c == '"') {
				at++;
				return out.toString();
			}
			out.append(c == '\\' ? escaped() : c);
		}
		throw unexpected("a closing quote");
	}

	private char escaped() {
		at++;
		final char c = at < text.length() ? text.charAt(at) : '\0';
		switch (c) {
			case 'n':
				return '\n';
			case 't':
				return '\t';
			case 'r':
				return '\r';
			case 'b':
				return '\b';
			case 'f':
				return '\f';
			case 'u':
				if (at + 4 >= text.length()) throw unexpected("four hexadecimal digits");
				at += 4;
				return (char) Integer.parseInt(text.substring(at - 3, at + 1), 16);
			case '"':
			case '\\':
			case '/':
				return c;
			default:
				throw unexpected("an escape");
		}
	}

	private Object word() {
		final int start = at;
		while (at < text.length() && ",]} \t\r\n:".indexOf(text.charAt(at)) < 0) at++;
		final String word = text.substring(start, at);
		switch (word) {
			case "true":
				return Boolean.TRUE;
			case "false":
				return Boolean.FALSE;
			case "null":
				return null;
			case "NaN":
				return Double.NaN;
			default:
				return number(word, start);
		}
	}

	private Object number(String word, int start) {
		try {
			if (word.matches("-?\\d{1,18}")) return Long.valueOf(word);
			if (word.matches("-?\\d+(\\.\\d+)?([eE][-+]?\\d+)?")) return Double.valueOf(word);
		}
		catch (NumberFormatException tooLong) {
			throw new IllegalArgumentException("the number " + word + " is out of range", tooLong);
		}
		at = start;
		throw unexpected("a value");
	}

	private void skipBlank() {
		while (at < text.length() && Character.isWhitespace(text.charAt(at))) at++;
	}

	private boolean next(char wanted) {
		skipBlank();
		if (at >= text.length() || text.charAt(at) != wanted) return false;
		at++;
		return true;
	}

	private void expect(char wanted) {
		if (!next(wanted)) throw unexpected("'" + wanted + "'");
	}

	private IllegalArgumentException unexpected(String wanted) {
		final String found = at < text.length() ? "'" + text.charAt(at) + "'" : "the end";
		return new IllegalArgumentException("expected " + wanted + " at character " + at + ", found " + found);
	}

	private static void write(Object value, StringBuilder out) {
		if (value instanceof Map) writeObject((Map<?, ?>) value, out);
		else if (value instanceof Iterable) writeArray((Iterable<?>) value, out);
		else if (value instanceof Object[]) writeArray(java.util.Arrays.asList((Object[]) value), out);
		else if (value instanceof Double || value instanceof Float) writeReal(((Number) value).doubleValue(), out);
		else if (value == null || value instanceof Number || value instanceof Boolean) out.append(value);
		else quote(value.toString(), out);
	}

	private static void writeObject(Map<?, ?> object, StringBuilder out) {
		String before = "{";
		for (final Map.Entry<?, ?> member : object.entrySet()) {
			out.append(before);
			quote(String.valueOf(member.getKey()), out);
			out.append(':');
			write(member.getValue(), out);
			before = ",";
		}
		out.append(object.isEmpty() ? "{}" : "}");
	}

	private static void writeArray(Iterable<?> array, StringBuilder out) {
		String before = "";
		out.append('[');
		for (final Object element : array) {
			out.append(before);
			write(element, out);
			before = ",";
		}
		out.append(']');
	}

	private static void writeReal(double value, StringBuilder out) {
		if (Double.isNaN(value) || Double.isInfinite(value)) out.append("null");
		else if (value == Math.rint(value) && Math.abs(value) < 1e15) out.append((long) value);
		else out.append(value);
	}

	private static void quote(String text, StringBuilder out) {
		out.append('"');
		for (int i = 0; i < text.length(); i++) {
			final char c = text.charAt(i);
			if (c == '"' || c == '\\') out.append('\\').append(c);
			else if (c >= 0x20 && c < 0x7f) out.append(c);
			else out.append(String.format("\\u%04x", (int) c));
		}
		out.append('"');
	}
}
