package io.github.superlens.engine;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;

/** What the engine answered, read from its JSON. Immutable. */
public final class Reply {

	private final Map<String, Object> content;

	private Reply(Map<String, Object> content) {
		this.content = content;
	}

	/**
	 * Reads a reply.
	 *
	 * @param json what {@link Engine#call} returned
	 * @return the reply to a request that was fulfilled
	 * @throws EngineException when the reply tells of a failure, with its sentence, or is no reply at all
	 */
	public static Reply read(String json) throws EngineException {
		final Reply reply;
		final Map<String, Object> error;
		try {
			reply = new Reply(Json.object(Json.parse(json)));
			error = Json.object(reply.content.get("error"));
		}
		catch (IllegalArgumentException wrong) {
			throw new EngineException(EngineException.Kind.DEFECT, "The engine's answer cannot be read: " + wrong.getMessage() + ".", json);
		}
		if (Boolean.TRUE.equals(reply.content.get("ok"))) return reply;
		throw failure(error);
	}

	/** The images that were made, or can be made when the request was a plan: one JSON object each. */
	public List<Map<String, Object>> outputs() {
		final List<Map<String, Object>> outputs = new ArrayList<>();
		for (final Object output : Json.array(content.get("outputs"))) outputs.add(Json.object(output));
		return Collections.unmodifiableList(outputs);
	}

	/** Names of the columns of the table of numbers; empty when there is no table. */
	public List<String> columns() {
		return words(Json.object(content.get("table")).get("columns"));
	}

	/** Rows of the table of numbers, each with a number, text or null for each column. */
	public List<List<Object>> rows() {
		final List<List<Object>> rows = new ArrayList<>();
		for (final Object row : Json.array(Json.object(content.get("table")).get("rows"))) rows.add(Json.array(row));
		return Collections.unmodifiableList(rows);
	}

	/** Some lines on what was done. */
	public String text() {
		return Json.text(content, "text", "");
	}

	/** What the user should know, a line each. */
	public List<String> messages() {
		return words(content.get("messages"));
	}

	/** Paths of the files that were written. */
	public List<String> files() {
		return words(content.get("files"));
	}

	/** Whether the training ended before its time because the user wanted it. */
	public boolean early() {
		return Boolean.TRUE.equals(content.get("early"));
	}

	/** What else there is to say; depends on the verb. */
	public Map<String, Object> info() {
		return Json.object(content.get("info"));
	}

	private static EngineException failure(Map<String, Object> error) {
		final String message = Json.text(error, "message", "the engine failed and did not say why.");
		final String hint = Json.text(error, "hint", "");
		final String sentence = hint.isEmpty() ? message : message + " " + hint;
		return new EngineException(kind(Json.text(error, "kind", "defect")), capitalised(sentence), Json.text(error, "traceback", ""));
	}

	/** Begins with a capital letter unless the first word is a parameter's name. */
	private static String capitalised(String sentence) {
		final String first = sentence.split("[ :,]", 2)[0];
		if (!first.matches("[a-z]+")) return sentence;
		return Character.toUpperCase(sentence.charAt(0)) + sentence.substring(1);
	}

	private static EngineException.Kind kind(String word) {
		switch (word) {
			case "user":
				return EngineException.Kind.USER;
			case "cancelled":
				return EngineException.Kind.CANCELLED;
			default:
				return EngineException.Kind.DEFECT;
		}
	}

	private static List<String> words(Object array) {
		final List<String> words = new ArrayList<>();
		for (final Object word : Json.array(array)) words.add(String.valueOf(word));
		return Collections.unmodifiableList(words);
	}
}
