package io.github.superlens.core;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.Map;

import io.github.superlens.engine.EngineException;
import io.github.superlens.engine.Json;

/**
 * One parameter of a command: what the dialog asks, the macro gives and the engine takes. Read from the list that Python writes. Immutable.
 */
public final class ParamSpec {

	/** What kind of value a parameter has, and so how it is asked for. */
	public enum Type {
		/** A number. */
		FLOAT,
		/** A number, or one for each channel with blanks between. */
		FLOATS,
		/** A whole number. */
		INT,
		/** Any words. */
		TEXT,
		/** One of some words. */
		CHOICE,
		/** Yes or no. */
		FLAG,
		/** A number counted from 1, or a range of them like 2-7. */
		RANGE,
		/** A file that exists, or for an input a folder of them. */
		FILE,
		/** A folder. */
		FOLDER,
		/** A file to be written. */
		SAVE,
		/** An open image by title or ID, or an image file. */
		IMAGE
	}

	private final Map<String, Object> words;

	/** @param words the parameter's entry in {@code params.json} */
	ParamSpec(Map<String, Object> words) {
		this.words = words;
	}

	/** Its name in macros: lower case, and no other parameter's name ends with it. */
	public String key() {
		return Json.text(words, "key", "");
	}

	/** What kind of value it has. */
	public Type type() {
		return Type.valueOf(Json.text(words, "type", "text").toUpperCase(Locale.ROOT));
	}

	/** Its name for people. */
	public String label() {
		return Json.text(words, "label", key());
	}

	/** What it means, in a sentence. */
	public String help() {
		return Json.text(words, "help", "");
	}

	/** Unit of the number; empty when it has none. */
	public String unit() {
		return Json.text(words, "unit", "");
	}

	/** What it is when it is not given; empty when the engine decides. */
	public String standard() {
		return Json.text(words, "default", "");
	}

	/** What may be chosen; empty unless it is a choice. */
	public List<String> choices() {
		final List<String> choices = new ArrayList<>();
		for (final Object choice : Json.array(words.get("choices"))) choices.add(choice.toString());
		return Collections.unmodifiableList(choices);
	}

	/** Whether the command cannot run without it. */
	public boolean required() {
		return Boolean.TRUE.equals(words.get("required"));
	}

	/** Whether most users leave it alone. */
	public boolean advanced() {
		return Boolean.TRUE.equals(words.get("advanced"));
	}

	/** Which of the image's own numbers answers it, like {@code pixel_nm}; empty when none does. */
	public String from() {
		return Json.text(words, "from", "");
	}

	/** Whether the engine takes it; otherwise it is for this side of the door alone. */
	public boolean forEngine() {
		return Json.text(words, "scope", "engine").equals("engine");
	}

	/**
	 * Reads a value.
	 *
	 * @param text as typed or as in a macro
	 * @return a Double, Long, Boolean or String, the latter for several numbers too; null when the text is empty
	 * @throws EngineException when it is not what the parameter takes, saying what is
	 */
	public Object read(String text) throws EngineException {
		final String given = text == null ? "" : text.trim();
		if (given.isEmpty()) return null;
		switch (type()) {
			case FLOAT:
			case INT:
				return number(given);
			case FLOATS:
				return numbers(given);
			case FLAG:
				if (given.equals("true") || given.equals("false")) return Boolean.valueOf(given);
				throw wrong(given, "true or false");
			case CHOICE:
				if (choices().contains(given)) return given;
				throw wrong(given, "one of " + String.join(", ", choices()));
			default:
				return given;
		}
	}

	/** Whether its value is a place in the file system. */
	public boolean isPath() {
		return type() == Type.FILE || type() == Type.FOLDER || type() == Type.SAVE;
	}

	private Object numbers(String given) throws EngineException {
		final String[] several = given.split("\\s+");
		if (several.length == 1) return number(given);
		final List<String> read = new ArrayList<>();
		for (final String one : several) {
			final double value = (Double) number(one);
			read.add(value == Math.rint(value) ? Long.toString((long) value) : Double.toString(value));
		}
		return String.join(" ", read);
	}

	private Object number(String given) throws EngineException {
		final double value;
		try {
			value = Double.parseDouble(given.replace(',', '.'));
		}
		catch (NumberFormatException noNumber) {
			throw wrong(given, type() == Type.INT ? "a whole number" : "a number");
		}
		if (Double.isNaN(value) || Double.isInfinite(value)) throw wrong(given, "a number");
		final double min = Json.number(words, "min", Double.NEGATIVE_INFINITY);
		final double max = Json.number(words, "max", Double.POSITIVE_INFINITY);
		if (value < min || value > max) throw wrong(given, Double.isInfinite(max) ? "at least " + Json.write(min) : Json.write(min) + " to " + Json.write(max));
		if (type() != Type.INT) return value;
		if (value != Math.rint(value)) throw wrong(given, "a whole number");
		return (long) value;
	}

	private EngineException wrong(String given, String allowed) {
		return EngineException.user(key() + " is " + given + "; expected " + allowed + ".");
	}
}
