package io.github.superlens.ui;

import java.awt.FlowLayout;
import java.io.File;
import java.util.ArrayList;
import java.util.List;

import javax.swing.JButton;
import javax.swing.JCheckBox;
import javax.swing.JComboBox;
import javax.swing.JComponent;
import javax.swing.JFileChooser;
import javax.swing.JPanel;
import javax.swing.JTextField;
import javax.swing.event.DocumentEvent;
import javax.swing.event.DocumentListener;
import javax.swing.text.JTextComponent;

import ij.ImagePlus;
import io.github.superlens.core.CommandSpec;
import io.github.superlens.core.OpenImages;
import io.github.superlens.core.ParamSpec;
import io.github.superlens.core.Settings;
import io.github.superlens.image.ImagePlusIO;
import io.github.superlens.image.Selection;

/** One row of a dialog: the input for a parameter, filled with what the image says, or what was last typed, or what is standard. */
final class Field {

	private static final String BY_DEFAULT = "";

	private final CommandSpec spec;
	private final ParamSpec param;
	private final String fromImage;
	private final JComponent component;
	private JTextComponent text;
	private JComboBox<String> choice;
	private JCheckBox box;

	/**
	 * @param spec the command
	 * @param param its parameter
	 * @param image the image that the command works on; may be null
	 */
	Field(CommandSpec spec, ParamSpec param, ImagePlus image) {
		this.spec = spec;
		this.param = param;
		fromImage = fromImage(param, image);
		final String last = Settings.last(spec, param);
		final String first = !fromImage.isEmpty() ? fromImage : last.isEmpty() ? param.standard() : last;
		component = make(first);
		component.setToolTipText(param.help());
		if (text != null) text.setToolTipText(param.help());
	}

	ParamSpec param() {
		return param;
	}

	JComponent component() {
		return component;
	}

	/** Name and unit. */
	String label() {
		if (param.type() == ParamSpec.Type.FLAG) return "";
		return param.label() + (param.unit().isEmpty() ? "" : " (" + param.unit() + ")") + (param.required() ? " *" : "");
	}

	/** What is typed or chosen; empty when nothing is, or when it is what the image says anyway. */
	String text() {
		if (box != null) return Boolean.toString(box.isSelected());
		final Object chosen = choice == null ? null : choice.isEditable() ? choice.getEditor().getItem() : choice.getSelectedItem();
		final String typed = choice == null ? text.getText().trim() : String.valueOf(chosen).trim();
		return typed.equals(fromImage) ? "" : typed;
	}

	/** Calls back whenever it is changed. */
	void onChange(Runnable changed) {
		if (box != null) box.addActionListener(event -> changed.run());
		if (choice != null) choice.addActionListener(event -> changed.run());
		if (text != null) text.getDocument().addDocumentListener(new DocumentListener() {

			@Override
			public void insertUpdate(DocumentEvent event) {
				changed.run();
			}

			@Override
			public void removeUpdate(DocumentEvent event) {
				changed.run();
			}

			@Override
			public void changedUpdate(DocumentEvent event) {
				changed.run();
			}
		});
	}

	/** Keeps what was typed for the next time, unless it belongs to this one image or run. */
	void remember() {
		final boolean ofThisRun = param.isPath() || !param.from().isEmpty() || param.type() == ParamSpec.Type.IMAGE || param.type() == ParamSpec.Type.RANGE;
		if (!ofThisRun) Settings.setLast(spec, param, text());
	}

	private JComponent make(String first) {
		switch (param.type()) {
			case FLAG:
				box = new JCheckBox(param.label(), Boolean.parseBoolean(first));
				return box;
			case CHOICE:
				choice = new JComboBox<>(choices(param.choices(), param.standard().isEmpty()));
				choice.setSelectedItem(first);
				return choice;
			case IMAGE:
				choice = new JComboBox<>(OpenImages.titles().toArray(new String[0]));
				choice.setEditable(true);
				return choice;
			case FILE:
			case FOLDER:
			case SAVE:
				return path(first);
			default:
				text = new JTextField(first, 12);
				return (JComponent) text;
		}
	}

	private JComponent path(String first) {
		final JTextField path = new JTextField(first, 22);
		text = path;
		final JButton browse = new JButton("Browse...");
		browse.addActionListener(event -> browse(path));
		final JPanel row = new JPanel(new FlowLayout(FlowLayout.LEFT, 0, 0));
		row.add(path);
		row.add(browse);
		return row;
	}

	private void browse(JTextField path) {
		final JFileChooser chooser = new JFileChooser(path.getText().isEmpty() ? null : new File(path.getText()));
		chooser.setFileSelectionMode(param.type() == ParamSpec.Type.SAVE ? JFileChooser.FILES_ONLY : param.type() == ParamSpec.Type.FOLDER
			? JFileChooser.DIRECTORIES_ONLY : JFileChooser.FILES_AND_DIRECTORIES);
		chooser.setDialogTitle(param.label());
		final boolean save = param.type() == ParamSpec.Type.SAVE;
		final int done = save ? chooser.showSaveDialog(path) : chooser.showOpenDialog(path);
		if (done == JFileChooser.APPROVE_OPTION) path.setText(chooser.getSelectedFile().getPath());
	}

	private static String[] choices(List<String> choices, boolean leftToEngine) {
		final List<String> shown = new ArrayList<>(choices);
		if (leftToEngine) shown.add(0, BY_DEFAULT);
		return shown.toArray(new String[0]);
	}

	private static String fromImage(ParamSpec param, ImagePlus image) {
		if (image == null || param.from().isEmpty()) return "";
		final Object value = ImagePlusIO.describe(image, Selection.all(image)).get(param.from());
		return value == null ? "" : value.toString().replaceFirst("\\.0$", "");
	}
}
